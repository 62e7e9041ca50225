"""A service: one page, and one that says that it is well."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def page() -> str:
    return "Welcome to the shop.\n"


@app.get("/healthz")
def health() -> str:
    return "ok\n"
