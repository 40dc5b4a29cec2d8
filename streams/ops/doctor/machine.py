"""Checks that need no broker: settings, rules, keys, state directory, memory, port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rules import RuleError, load_catalogue
from streams import native
from streams.flow.describe import tokens
from streams.flow.front.tables import fingerprint
from streams.ops.doctor import formats
from streams.ops.doctor.findings import Finding, fail, ok, warn
from streams.ops.keys import readable_by_others
from streams.settings import Settings
from streams.settings_shown import unknown_variables

GB, MB = 1_000_000_000, 1_000_000
DISK_WARN_BYTES, DISK_FAIL_BYTES = 10 * GB, 1 * GB
BASE_BYTES = 500 * MB  # a worker with nothing in its caches: libraries, rules, batches under way


def checks(settings: Settings, processes: int) -> Iterator[Finding]:
    """All of them, in the order of the report."""
    yield from _variables()
    yield _rules(settings)
    yield _keys(settings)
    yield _native(settings)
    yield from _state(settings)
    yield from formats.in_folders(settings)
    yield _expiry(settings, processes)
    yield _pages(settings)


def _variables() -> Iterator[Finding]:
    for name in unknown_variables():
        yield warn("settings", f"{name} names no setting", "see `waybill settings` for those there are")


def _rules(settings: Settings) -> Finding:
    try:
        catalogue = load_catalogue(settings.rules_dir, settings.rule_overrides)
    except RuleError as error:
        return fail("rules", str(error).splitlines()[0], "mend that rule, or take it out of rules_dir")
    live = sum(rule.mode == "live" for rule in catalogue.rules)
    says = f"{live} live, {len(catalogue.shadow)} in shadow; catalogue {catalogue.fingerprint}"
    if not live:
        return fail("rules", says, "nothing will ever alert: set mode: live in some rule")
    return ok("rules", says)


def _keys(settings: Settings) -> Finding:
    files = (settings.token_key_file, settings.token_state_key_file, settings.reject_key_file)
    try:
        tokeniser = tokens.tokeniser(settings)
    except tokens.KeyFileError as error:
        return fail("token keys", str(error), "see `waybill settings` for how keys are given")
    if tokeniser.development:
        return warn(
            "token keys",
            "the development keys, which everyone knows: tokens protect nobody",
            "fine for a trial; else set token_key_file and token_state_key_file",
        )
    if shared := [str(path) for path in files if path is not None and readable_by_others(path)]:
        advice = f"`chmod 600 {' '.join(shared)}`: whoever has these keys can find persons by their tokens"
        return fail("token keys", f"others on this machine can read {', '.join(shared)}", advice)
    return ok("token keys", f"in use: {tokeniser.publish_key_id}")


def _native(settings: Settings) -> Finding:
    says = native.state(settings.native, fingerprint())
    if settings.native == "0" or not (why := native.missing(fingerprint())):
        return ok("native front end", says)
    if settings.native == "1":
        return fail("native front end", f"native is 1, but it {why}", f"{native.ADVICE}; or set native to auto")
    return warn("native front end", f"{says}: {native.COST}", native.ADVICE)


def _state(settings: Settings) -> Iterator[Finding]:
    folder = settings.state_dir
    advice = "set state_dir to a folder on a local disk that the worker may write"
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
            probe.write(b"0" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        yield fail("state", f"{folder} cannot be written: {error.strerror}", advice)
        return
    if readable_by_others(folder):
        yield warn(
            "state", f"others on this machine can enter {folder}", f"`chmod 700 {folder}`: it holds history by person"
        )
    free = shutil.disk_usage(folder).free
    says = f"{folder}, {free / GB:,.0f} GB free"
    if free < DISK_FAIL_BYTES:
        yield fail("state", says, f"make room, or {advice}")
    elif free < DISK_WARN_BYTES:
        yield warn("state", says, "a million parcels take some 2 GB: watch it")
    else:
        yield ok("state", says)


def _expiry(settings: Settings, processes: int) -> Finding:
    caches_mb = settings.state_cache_mb + settings.state_buffers_mb + settings.fetch_queue_mb
    each = settings.hot_bytes_max + caches_mb * 1024 * 1024 + BASE_BYTES
    needed, there = each * processes, memory_available()
    says = f"{there / GB:.1f} GB available, {needed / GB:.1f} GB needed for {processes} worker(s)"
    if there < needed:
        return warn("memory", says, "lower hot_bytes_max, state_cache_mb and state_buffers_mb, or run fewer processes")
    return ok("memory", says)


def memory_available() -> int:
    """Bytes that a new process may take: the machine's, or less where a control group sets a limit."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return available
    return available if limit == "max" else min(available, int(limit) - used)


def _pages(settings: Settings) -> Finding:
    """The port of the pages: free, or held by a worker that then says how it is."""
    host, port = settings.web_host, settings.web_port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            running = _worker_at(f"http://{f'[{at}]' if ':' in at else at}:{port}/ready")
            if running:
                return ok("pages", f"a worker runs on port {port}: {running}")
            return fail(
                "pages", f"{host}:{port} cannot be had: {error.strerror}", "set web_port, or web_host, to another"
            )
    return ok("pages", f"port {port} is free" if port else "any free port")


def _worker_at(url: str) -> str:
    """What a worker says of itself there; empty if none answers, or something else does."""
    try:
        try:
            answer: Any = urllib.request.urlopen(url, timeout=2.0)
        except urllib.error.HTTPError as refusal:  # of a worker that is not ready
            answer = refusal
        with answer:
            said = json.load(answer)
    except (OSError, HTTPException, ValueError):
        return ""
    return str(said.get("why", "")) if isinstance(said, dict) else ""
