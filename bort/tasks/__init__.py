"""The tasks of GLUE, SuperGLUE and RACE: records, formulations, features, decisions, metrics."""
