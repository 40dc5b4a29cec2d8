"""The desk over HTTP: the verbs of the command line as JSON, with an OpenAPI document."""
