"""Value: how often customers without a contract buy, whether they still do, and their worth."""
