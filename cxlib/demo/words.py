"""Words that the simulated people are named and speak with. Nobody real is meant."""

__all__ = [
    "CITIES",
    "COMMENTS",
    "DOMAINS",
    "FAMILY_NAMES",
    "GENERIC_ADDRESSES",
    "GIVEN_NAMES",
    "STREETS",
    "TICKET_DETAILS",
    "TICKET_OPENINGS",
]


def _split(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(separator) if part.strip())


GIVEN_NAMES = _split(
    """
    Adam Alice Alma Amir Ana Anna Anton Arthur Bella Ben Carla Carlos Chloe Clara Daniel David
    Diana Elena Elias Emil Emma Erik Eva Felix Finn Frida Grace Hana Hannah Hugo Ida Igor Irene
    Isaac Ivan Jacob Jana Jonas Julia Karim Kate Laura Leo Leila Lena Lina Louis Lucas Lucia Luna
    Mara Marco Maria Marta Martin Maya Mia Milan Mina Nadia Nina Noah Nora Oliver Omar Oscar Paul
    Pedro Petra Rania Ravi Robin Rosa Ruth Samir Sara Simon Sofia Stella Tara Theo Thomas Tina Uma
    Vera Victor Yara Zoe
    """
)

FAMILY_NAMES = _split(
    """
    Adler Alvarez Andersen Baker Barros Becker Bell Berg Bishop Brandt Brooks Carter Castro Chen
    Clark Cohen Cole Costa Cruz Dahl Diaz Dixon Duarte Ellis Evans Farah Fischer Ford Foster Gallo
    Garcia Grant Gray Haddad Hall Hansen Hart Hayes Horvat Hughes Ibrahim Ito Jansen Jensen Kaya
    Keller Khan Kim Klein Kovacs Kumar Lang Larsen Lee Lopez Lund Mason Meyer Miller Mori Moreau
    Morgan Murphy Nagy Nguyen Novak Olsen Ortiz Owens Park Patel Pereira Perez Petrov Price Quinn
    Ramos Reed Reyes Rossi Sato Schmidt Silva Singh Sousa Stone Suzuki Takeda Torres Turner Vega
    Virtanen Wagner Walsh Weber Wells West Wolf Wong Wright Young Zhang
    """
)

STREETS = _split(
    """
    Maple Street; Oak Avenue; Station Road; River Lane; Hill Street; Church Road; Mill Lane; Park
    Avenue; Garden Street; Lake Drive; Bridge Street; Meadow Lane; School Road; Market Street;
    Forest Drive; Harbor Street; Orchard Road; Sunset Drive; Spring Street; Valley Road
    """,
    ";",
)

CITIES = ("Fairview", "Greenfield", "Lakeside", "Millbrook", "Oakdale", "Riverton", "Westbury")

DOMAINS = ("example.com", "example.org", "example.net")
"""Reserved for examples by RFC 2606."""

GENERIC_ADDRESSES = ("info@example.com", "office@example.org", "noreply@example.net")

TICKET_OPENINGS = (
    # calm, then annoyed
    (
        "Hello, I need some help please.",
        "Hi there, I have a question.",
        "Good morning, could you have a look at this?",
        "Thanks in advance for your help.",
        "Hello team, nothing urgent.",
    ),
    (
        "I am really disappointed with your service.",
        "This is the third time I am asking and I am fed up.",
        "Terrible experience so far, nobody helps.",
        "I am angry that this still does not work.",
        "Frankly, this is awful and a waste of my time.",
    ),
)

TICKET_DETAILS = {
    "technical": (
        "My connection drops every evening.",
        "The router shows a red light since yesterday.",
        "The speed is far below what my plan promises.",
        "The TV picture freezes during films.",
        "Wi-Fi does not reach the bedroom.",
        "There is no connection after the storm.",
    ),
    "billing": (
        "My last invoice is higher than I expected.",
        "The payment failed although my card is valid.",
        "I was charged twice for the same period.",
        "Please explain the extra fee on my bill.",
        "I would like to change how I pay.",
    ),
    "moving": (
        "I am moving next month and want to take my line along.",
        "Can you tell me if my new address is covered?",
    ),
    "cancellation": (
        "I found a cheaper offer. What can you do for me?",
        "I am thinking about leaving unless the price changes.",
        "How do I end my contract?",
    ),
    "complaint": (
        "My earlier request was never solved.",
        "I was passed from one department to the next.",
        "I waited a week for an answer that did not help.",
    ),
}

COMMENTS = {
    # survey -> (bad, middling, good)
    "nps": (
        (
            "Too expensive for such poor service.",
            "I would not recommend them, the support is terrible.",
            "Awful experience, I regret signing up.",
            "Constant problems and nobody cares.",
            "Very disappointed, I am looking for another provider.",
        ),
        (
            "It works most of the time.",
            "Fine for the price, nothing special.",
            "Okay, but the support could be faster.",
            "Average. No strong feelings either way.",
        ),
        (
            "Great value and a very reliable line.",
            "Excellent service, I love how easy everything is.",
            "Fast internet and friendly people, very happy.",
            "I already recommended you to my neighbours, wonderful.",
            "Best provider I have had, thank you.",
        ),
    ),
    "csat": (
        (
            "Nobody could help me, a horrible call.",
            "I was sent around and my problem is still there.",
            "Rude answer and no solution, very bad.",
            "Waited for days, useless.",
        ),
        (
            "Solved in the end, but it took long.",
            "The agent was okay, the wait was not.",
            "Acceptable.",
        ),
        (
            "Friendly and quick, problem solved.",
            "Excellent help, thank you so much.",
            "The technician was great and very patient.",
            "Perfect, everything works well again.",
        ),
    ),
    "ces": (
        (
            "The installation was moved and I lost a whole day, annoying.",
            "Far too complicated, I struggled for hours.",
            "Confusing instructions and a bad start.",
        ),
        (
            "Some steps were unclear.",
            "It took a while but works now.",
        ),
        (
            "Plug and play, very easy.",
            "Smooth start, great instructions.",
            "Surprisingly simple, I am happy with it.",
        ),
    ),
}
"""Comments of surveys by how good the score is."""
