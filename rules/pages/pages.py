"""The catalogue as a page: one self-contained file per language, for screen, phone and paper.

Everything on it comes from the rule files and the documented columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from itertools import groupby
from typing import Final

from rules.engine.catalogue import Catalogue
from rules.engine.score import THRESHOLDS, TIERS
from rules.engine.sql import spelled
from rules.pages.markup import Markup, Part, join, tag
from rules.pages.wording import changes, expected, lines, value
from rules.pages.words import word
from schemas.columns import COLUMNS, Column
from schemas.rulefile import LANGUAGES, PROSE, Case, Language, Rule, in_language


def pages(catalogue: Catalogue, written: Catalogue) -> dict[str, str]:
    """The pages by file name. `catalogue` has the rules in force, `written` the same rules without overrides."""
    return {_file(language): _Page(catalogue, written, language).whole() for language in LANGUAGES}


def _file(language: Language) -> str:
    return f"rules.{language}.html"


# Browsers without ::details-content print only elements that are open.
_SCRIPT: Final = (
    'addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));'
)
_NAMES: Final = {"zh": "中文", "en": "English"}
_HTML_LANG: Final = {"zh": "zh-CN", "en": "en"}


class _Page:
    """The page in one language."""

    def __init__(self, catalogue: Catalogue, written: Catalogue, language: Language) -> None:
        self.catalogue = catalogue
        self.written = written
        self.language = language
        self.reads = {
            rule.id: sorted(set(expression.meta.root_names()))
            for rule, expression in zip(catalogue.rules, catalogue.expressions, strict=True)
        }

    def whole(self) -> str:
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", self.say("catalogue"), " · waybill-sentinel"),
            tag("style", Markup(files("rules.pages").joinpath("pages.css").read_text(encoding="utf-8"))),
        )
        families = [
            self.family(family, list(rules))
            for family, rules in groupby(self.catalogue.rules, lambda rule: rule.id.partition(".")[0])
        ]
        body = tag(
            "body",
            self.introduction(),
            self.contents(),
            tag("main", families, self.column_reference()),
            tag("footer", tag("p", self.say("made"), class_="dim")),
            tag("script", Markup(_SCRIPT)),
        )
        return f"<!doctype html>\n{tag('html', head, body, lang=_HTML_LANG[self.language])}\n"

    def say(self, key: str) -> str:
        return word(key, self.language)

    def introduction(self) -> Markup:
        others = [
            tag("a", _NAMES[other], href=_file(other), hreflang=_HTML_LANG[other], lang=_HTML_LANG[other])
            for other in LANGUAGES
            if other != self.language
        ]
        rules = self.catalogue.rules
        counts = Counter[str](rule.category for rule in rules) + Counter[str](rule.mode for rule in rules)
        parts = [f"{len(rules)} {self.say('rules')}"]
        parts += [f"{self.say(key)} {counts[key]}" for key in ("suspicion", "compliance") if counts[key]]
        parts += [f"{self.say(key)} {counts[key]}" for key in ("live", "shadow", "off") if counts[key]]
        parts.append(f"{self.say('fingerprint')} {self.catalogue.fingerprint}")
        tiers = [
            tag("li", tag("b", self.say(name)), f" {least} {self.say('score')}")
            for name, least in zip(TIERS[1:], THRESHOLDS, strict=True)
        ]
        return join(
            tag("header", tag("h1", self.say("catalogue")), tag("p", others, class_="screen")),
            tag("p", " · ".join(parts), class_="dim"),
            tag("p", self.say("about")),
            tag("ul", tiers, class_="tiers"),
            tag("p", self.say("english"), class_="dim") if self.say("english") else "",
        )

    def contents(self) -> Markup:
        rows: list[Part] = []
        for family, rules in groupby(self.catalogue.rules, lambda rule: rule.id.partition(".")[0]):
            link = tag("a", self.say(f"family {family}"), href=f"#{family}")
            rows.append(tag("tr", tag("td", link, colspan="3"), class_="family"))
            rows += [self.contents_row(rule) for rule in rules]
        last = tag("a", self.say("column_reference"), href="#columns")
        rows.append(tag("tr", tag("td", last, colspan="3"), class_="family"))
        return tag("nav", tag("h2", self.say("contents")), tag("table", rows, class_="contents"), id="contents")

    def contents_row(self, rule: Rule) -> Markup:
        category = tag("span", self.say(rule.category), class_="dim")
        mode = f" ({self.say(rule.mode)})" if rule.mode != "live" else ""
        return tag(
            "tr",
            tag("td", tag("a", rule.title[self.language], href=f"#{rule.id}"), mode, code(rule.id)),
            tag("td", category),
            tag("td", f"{rule.points} {self.say('points')}"),
        )

    def family(self, family: str, rules: list[Rule]) -> Markup:
        name = self.say(f"family {family}")
        return tag("section", tag("h2", name), [self.rule(rule) for rule in rules], id=family)

    def rule(self, rule: Rule) -> Markup:
        changed = changes(self.written.by_id[rule.id], rule)
        other = next(language for language in LANGUAGES if language != self.language)
        tags = [
            tag("li", self.say(rule.category), class_=rule.category),
            tag("li", f"{rule.points} {self.say('points')}", self.was("points", changed)),
            tag("li", self.say(rule.mode), self.was("mode", changed), class_=rule.mode),
            tag("li", f"{self.say('version')} {rule.version}"),
        ]
        head = tag(
            "div",
            tag("h3", rule.title[self.language]),
            tag("p", tag("span", rule.title[other], lang=_HTML_LANG[other]), " · ", code(rule.id), class_="id"),
            tag("ul", tags, class_="tags"),
            class_="head",
        )
        prose = [
            join(tag("h4", self.say(name)), tag("p", in_language(getattr(rule, name), self.language).strip()))
            for name in PROSE
        ]
        return tag(
            "article",
            head,
            prose,
            tag("h4", self.say("actions")),
            tag("p", self.say("comma").join(self.say(action) for action in rule.actions)),
            tag("h4", self.say("when")),
            tag("pre", tag("code", self.sql(rule))),
            self.limits(rule, changed),
            tag("h4", self.say("columns")),
            tag("table", [self.column_row(name, rule) for name in self.columns_of(rule)], class_="facts"),
            self.cases(rule),
            tag("p", tag("a", "↑ ", self.say("top"), href="#contents"), class_="screen"),
            id=rule.id,
        )

    def foreign(self) -> str:
        """The language attribute of text that exists in English only."""
        return "en" if self.language != "en" else ""

    def was(self, name: str, changed: dict[str, tuple[object, object]]) -> Part:
        """The value in the file, if the deployment overrides it."""
        if name not in changed:
            return ""
        before = value(changed[name][0])
        return tag("span", f" ({self.say('by_override')}{self.say(before)})", class_="set")

    def sql(self, rule: Rule) -> Iterator[Part]:
        """The condition: limits in force are marked, columns are links."""
        for kind, text in spelled(rule.when.strip(), rule.limits, rule.id):
            if kind == "limit":
                yield tag("mark", text)
            elif kind == "word" and text in COLUMNS:
                yield tag("a", text, href=f"#column-{text}")
            else:
                yield text

    def limits(self, rule: Rule, changed: dict[str, tuple[object, object]]) -> Part:
        if not rule.limits:
            return ""
        rows = [
            tag("tr", tag("td", code(name)), tag("td", tag("mark", value(limit)), self.was(name, changed)))
            for name, limit in rule.limits.items()
        ]
        return join(tag("h4", self.say("limits")), tag("table", rows, class_="facts"))

    def columns_of(self, rule: Rule) -> list[str]:
        return list(dict.fromkeys([*rule.evidence, *self.reads[rule.id]]))

    def column_row(self, name: str, rule: Rule) -> Markup:
        column = COLUMNS[name]
        uses = [
            self.say(use)
            for use, names in (("read", self.reads[rule.id]), ("evidence", rule.evidence))
            if name in names
        ]
        link = tag("a", code(name), href=f"#column-{name}")
        return tag(
            "tr",
            tag("td", link, tag("small", f"{self.say(column.type)} · {self.say('comma').join(uses)}")),
            tag("td", tag("span", column.doc, lang=self.foreign()), self.null(column)),
        )

    def null(self, column: Column) -> Part:
        if not column.null:
            return ""
        return tag("small", self.say("null"), tag("span", column.null, lang=self.foreign()))

    def cases(self, rule: Rule) -> Markup:
        summary = tag("summary", f"{len(rule.cases)} {self.say('case')}")
        return tag("details", summary, [self.case(case) for case in rule.cases])

    def case(self, case: Case) -> Markup:
        rows = []
        for line in lines(case):
            fields: list[Part] = [[" ", code(f"{name}: {item}")] for name, item in line.fields]
            given = fields or [" ", tag("span", self.say("default"), class_="dim")]
            repeated = self.say("repeated").format(line.repeat, line.every) if line.repeat > 1 else ""
            rows.append(tag("tr", tag("td", line.after), tag("td", self.say(line.kind), repeated, given)))
        answers = [
            [f"{self.say(name)} " if name else "", tag("span", self.say(answer), class_=answer)]
            for name, answer in expected(case)
        ]
        told = [[self.say("comma") if number else "", part] for number, part in enumerate(answers)]
        return tag(
            "div",
            tag("p", tag("b", case.name, lang=self.foreign())),
            tag("table", rows),
            tag("p", self.say("expect"), " ", told, self.say("until").format(case.until) if case.until else ""),
            class_="case",
        )

    def column_reference(self) -> Markup:
        used: dict[str, list[str]] = {}
        for rule in self.catalogue.rules:
            for name in self.columns_of(rule):
                used.setdefault(name, []).append(rule.id)
        columns = [self.column(column, used.get(column.name, [])) for column in COLUMNS.values()]
        about = tag("p", self.say("columns_about"))
        return tag("section", tag("h2", self.say("column_reference")), about, columns, id="columns")

    def column(self, column: Column, used: list[str]) -> Markup:
        links = [[", " if number else "", tag("a", code(rule), href=f"#{rule}")] for number, rule in enumerate(used)]
        return tag(
            "div",
            tag("p", tag("b", code(column.name)), " ", tag("small", self.say(column.type))),
            tag("p", column.doc, lang=self.foreign()),
            tag("p", self.null(column)) if column.null else "",
            tag("p", tag("small", self.say("used_by"), links)) if links else "",
            class_="column",
            id=f"column-{column.name}",
        )


def code(text: str) -> Markup:
    """A name or value as files write it."""
    return tag("code", text)
