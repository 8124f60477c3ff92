"""The port on which the web server listens: whether it can be had, and whether somebody answers there."""

import errno
import http.client
import socket

import click


def check_port(host: str, port: int, remedy: str) -> None:
    """Stop with exit code 2 if the port cannot be listened on."""
    trouble = port_trouble(host, port)
    if trouble:
        raise click.UsageError(f"{trouble}. Choose another: {remedy}.")


def port_trouble(host: str, port: int) -> str | None:
    """Say why a port cannot be listened on, None if it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            return f"Port {port} is taken"
        return f"Port {port} of {host} cannot be used ({problem.strerror})"
    return None


def healthy(host: str, port: int) -> bool:
    """Tell whether the web server answers."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
