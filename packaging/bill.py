"""Writes what a release is made of: a bill of materials (CycloneDX), and the licences of others.

    packaging/bill.py --version 0.1.0 --v8-archive librusty_v8.a.gz --bom OUT.cdx.json --licences OUT.txt

What is listed is what the two programs are linked from on Linux: crates of `Cargo.lock`, by `cargo metadata`,
without what only builds or tests need; and V8's static library, with the checksum of its archive.
"""

import argparse
import gzip
import hashlib
import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("mcp-v8", "mcp-v8-worker")
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
LICENCE_NAMES = ("license", "licence", "copying", "notice", "copyright", "unlicense")
# How much of a file is read at once.
CHUNK_BYTES = 1 << 20


class Missing(Exception):
    """What a bill must name and is not there."""


def metadata(target):
    """What cargo knows of the workspace, for one target."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(known):
    """The packages that the programs are linked from, with their edges."""
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    members = set(known["workspace_members"])
    start = [id for id in members if packages[id]["name"] in PROGRAMS]
    if len(start) != len(PROGRAMS):
        raise Missing(f"the workspace does not have {PROGRAMS}")
    edges, waiting = {}, list(start)
    while waiting:
        id = waiting.pop()
        if id in edges:
            continue
        edges[id] = sorted(
            dependency["pkg"]
            for dependency in nodes[id]["deps"]
            # A kind of none is one of the program; others are of build scripts and tests.
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
            # Macros run in the compiler.
            and not any("proc-macro" in built["kind"] for built in packages[dependency["pkg"]]["targets"])
        )
        waiting.extend(edges[id])
    return start, edges, packages


def checksums():
    """The checksum of each package of the registry, by name and version."""
    found, entry = {}, {}
    for line in (ROOT / "Cargo.lock").read_text().splitlines() + ["[[package]]"]:
        if line == "[[package]]":
            found[entry.get("name"), entry.get("version")] = entry.get("checksum")
            entry = {}
        elif " = " in line:
            name, value = line.split(" = ", 1)
            entry[name] = value.strip('"')
    return found


def crate(package, sums, kind):
    name, version = package["name"], package["version"]
    of_registry = package["source"] == REGISTRY
    digest = sums.get((name, version))
    if of_registry and not digest:
        raise Missing(f"Cargo.lock has no checksum of {name} {version}")
    if package["source"] and not of_registry:
        raise Missing(f"{name} {version} is from {package['source']}, not from the registry")
    expression = (package["license"] or "").replace("/", " OR ")
    if not expression:
        raise Missing(f"{name} {version} names no licence")
    repository = package.get("repository")
    return Component(
        type=kind,
        name=name,
        version=version,
        bom_ref=f"cargo:{name}@{version}",
        purl=PackageURL("cargo", name=name, version=version) if of_registry else None,
        description=package["description"],
        licenses=[LicenseFactory().make_from_string(expression)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if of_registry else [],
        external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(repository))]
        if repository
        else [],
    )


def sha256(stream):
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def v8(archive, version):
    """V8's static library: the archive's checksum, and that of the library in it."""
    with archive.open("rb") as stream:
        packed = sha256(stream)
    with gzip.open(archive) as stream:
        plain = sha256(stream)
    library = Component(
        type=ComponentType.FILE,
        name=archive.name.removesuffix(".gz"),
        bom_ref="v8:library",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=plain)],
    )
    return Component(
        type=ComponentType.LIBRARY,
        name="V8 (librusty_v8)",
        version=version,
        bom_ref=f"v8:librusty_v8@{version}",
        purl=PackageURL("github", namespace="denoland", name="rusty_v8", version=f"v{version}"),
        description="V8 and what it contains (ICU, zlib, simdutf and others), as a static library",
        licenses=[LicenseFactory().make_from_string("BSD-3-Clause")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=packed)],
        components=[library],
    )


def when():
    """The time of the sources, so that one source gives one bill."""
    return datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)


def bill(version, archive, known):
    start, edges, packages = linked(known)
    sums = checksums()
    made = {}
    for id in edges:
        kind = ComponentType.APPLICATION if id in start else ComponentType.LIBRARY
        made[id] = crate(packages[id], sums, kind)
    bom = Bom(components=made.values())
    product = Component(type=ComponentType.APPLICATION, name="mcp-v8", version=version, bom_ref="mcp-v8")
    bom.metadata.component = product
    bom.metadata.timestamp = when()
    bom.register_dependency(product, [made[id] for id in start])
    glue = next((made[id] for id in edges if packages[id]["name"] == "v8"), None)
    if glue is None:
        raise Missing("nothing is linked from the crate v8")
    library = v8(archive, glue.version)
    bom.components.add(library)
    for id, inner in edges.items():
        below = [made[other] for other in inner]
        bom.register_dependency(made[id], below + [library] if made[id] is glue else below)
    contents = sorted(str(component.bom_ref) for component in bom.components)
    bom.serial_number = uuid5(NAMESPACE_URL, f"mcp-v8@{version}\n" + "\n".join(contents))
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        raise Missing(f"the bill breaks its own schema: {problem}")
    return text + "\n", [packages[id] for id in edges if packages[id]["source"]]


def texts_of(package):
    """The texts of licences that a package carries."""
    folder = Path(package["manifest_path"]).parent
    files = (
        file
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name.lower().startswith(LICENCE_NAMES)
    )
    return [file.read_text(errors="replace").strip() for file in files]


def licences(packages):
    """All licences of others: each text once, with who it is of; then who carries none."""
    by_text, without = {}, []
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        title = f"{package['name']} {package['version']} ({package['license']})"
        texts = texts_of(package)
        if not texts:
            authors = ", ".join(package["authors"]) or "its authors"
            without.append(f"{title}, by {authors}: {package['repository'] or 'no repository'}")
        for text in texts:
            by_text.setdefault(text, []).append(title)
    rule = "\n" + "=" * 100 + "\n"
    parts = ["The programs contain, beside V8 (BSD-3-Clause, https://v8.dev), what is listed here with its licences."]
    parts += ["\n".join(titles) + "\n\n" + text for text, titles in by_text.items()]
    parts.append("These carry no text of their licence, only its name:\n\n" + "\n".join(without))
    return rule.join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", required=True)
    parser.add_argument("--target", default="x86_64-unknown-linux-gnu")
    parser.add_argument("--v8-archive", type=Path, required=True)
    parser.add_argument("--bom", type=Path, required=True)
    parser.add_argument("--licences", type=Path, required=True)
    told = parser.parse_args()
    try:
        text, others = bill(told.version, told.v8_archive, metadata(told.target))
    except (Missing, OSError) as problem:
        sys.exit(f"bill: {problem}")
    told.bom.write_text(text)
    told.licences.write_text(licences(others))
    print(f"bill: {text.count(chr(34) + 'bom-ref' + chr(34))} components, {len(others)} crates of others", file=sys.stderr)


if __name__ == "__main__":
    main()
