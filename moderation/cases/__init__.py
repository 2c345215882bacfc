"""The life of a case: reports, decisions, appeals, deadlines, neglect."""
