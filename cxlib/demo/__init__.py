"""A simulated company whose truth is known: what an analysis finds can be held against it."""

from cxlib.demo.parameters import PlantedTruth, planted_truth
from cxlib.demo.people import Faults
from cxlib.demo.simulate import Simulation, simulate_company

__all__ = ["Faults", "PlantedTruth", "Simulation", "planted_truth", "simulate_company"]
