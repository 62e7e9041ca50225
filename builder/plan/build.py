"""Closure + recipe → ImagePlan. Pure but for reading the few bytes that package records need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.elf.facts import ElfFacts
from builder.elf.ldcache import LD_SO_CACHE, cache_for
from builder.errors import ResolutionError
from builder.inventory.osrelease import parse_os_release
from builder.plan.accounts import Accounts, make_accounts
from builder.plan.baseaccounts import read_accounts
from builder.plan.baserecords import records_over
from builder.plan.model import Entry, ImagePlan, Layer, PlannedBase
from builder.plan.onbase import added_to, files_beside, folders_of, made_over
from builder.plan.reasons import add_record, record_entry
from builder.plan.records import copyright_nodes, planned_packages, record_entries
from builder.plan.system import missing_parents, start_folders, system_entries
from builder.plan.unread import unread_scripts
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Owner, Recipe
from builder.runtime.closure import Closure, Needed
from builder.runtime.made.makers import make_all
from builder.runtime.made.material import MadeFile, Material
from builder.sources.base import Base
from builder.sources.local import LocalFiles
from builder.sysroot import Content, Kind, Node, Sysroot, read_content

_NOTHING = Sysroot(())
"""What lies below an image from scratch."""
_OWN_CERTIFICATES = "/usr/local/share/ca-certificates/"


def make_plan(  # noqa: PLR0913 (each is what one stage made)
    recipe: Recipe,
    sysroot: Sysroot,
    closure: Closure,
    local: LocalFiles,
    facts: ElfFacts,
    *,
    epoch: int | None,
    base: Base | None = None,
) -> ImagePlan:
    """The image as data. ``epoch``: SOURCE_DATE_EPOCH, or None for the newest package's time.

    Over a ``base`` it holds what the base lacks. ResolutionError when accounts conflict, an owner has no
    account, or a path needs a folder where a file is.
    """
    made = make_all(closure.made, _material(recipe, sysroot, local))
    files = [_made_entry(file, closure.made[name]) for name, one in made.items() for file in one.files]
    present = closure.packages().union(*(one.packages for one in made.values()))
    needed = _with_folders(_with_copyright(closure, present, sysroot), sysroot)
    ground = base.tree if base is not None else _NOTHING
    accounts = _accounts(recipe, local, needed, present, ground)
    entries = _entries(needed, accounts, local)
    _add_new(entries, made_over(ground, files, named=_named(recipe, local)))
    entries = added_to(ground, entries)
    libraries = _library_cache(entries, ground, sysroot, facts)
    _add_new(entries, added_to(ground, _system(recipe, accounts, libraries, ground)).values())
    packages = planned_packages(entries.values(), sysroot.packages)
    _add_records(entries, ground, sysroot)
    scripts = tuple(report for report in local.configured.scripts if report.package in present)
    dates = [sysroot.packages[package.name].newest for package in packages]
    newest = max([*dates, *([base.created] if base is not None else [])], default=0)
    return ImagePlan(
        platform=recipe.platform,
        config=recipe.config,
        annotations=_annotations(recipe, base),
        layers=(Layer(entries=tuple(sorted(entries.values(), key=_tar_order)), comment=recipe.name),),
        packages=packages,
        created=newest if epoch is None else epoch,
        distribution=_distribution(entries, ground, sysroot),
        warnings=(
            *closure.warnings,
            *(warning for one in made.values() for warning in one.warnings),
            *unread_scripts(recipe, scripts, sysroot),
        ),
        hints=closure.hints,
        scripts=scripts,
        base=_planned_base(base, entries) if base is not None else None,
    )


def _named(recipe: Recipe, local: LocalFiles) -> frozenset[str]:
    """Packages whose made files count more than those of a base."""
    own = any(node.path.startswith(_OWN_CERTIFICATES) for node in local.nodes())
    return frozenset({*recipe.named_packages, *(["ca-certificates"] if own else [])})


def _annotations(recipe: Recipe, base: Base | None) -> tuple[tuple[str, str], ...]:
    if base is None:
        return recipe.annotations
    return tuple((dict(base.annotations()) | dict(recipe.annotations)).items())


def _planned_base(base: Base, entries: Iterable[str]) -> PlannedBase:
    return PlannedBase(
        words=base.words,
        layers=base.layers,
        history=base.config.past,
        files=files_beside(base.tree, entries),
        config=base.config.config,
        reference=base.reference,
        digest=base.digest,
    )


def _tar_order(entry: Entry) -> bytes:
    return entry.path.encode("utf-8", "surrogateescape")


def _with_copyright(closure: Closure, present: frozenset[str], sysroot: Sysroot) -> dict[str, Needed]:
    """A copyright file may be behind a link into another package, which is then present too."""
    needed = dict(closure.needed)
    pending = sorted(present)
    seen = set(pending)
    while pending:
        package = pending.pop()
        for node in copyright_nodes(package, sysroot):
            needed.setdefault(node.path, Needed(node, Reason(ReasonKind.COPYRIGHT, package)))
            if node.package and node.package not in seen:  # copyright behind a link into another package
                seen.add(node.package)
                pending.append(node.package)
    return needed


def _with_folders(needed: dict[str, Needed], sysroot: Sysroot) -> list[Needed]:
    """The packages' folders above what is needed, with the modes and owners that they have there."""
    folders: dict[str, Needed] = {}
    for path in needed:
        parent = path.rpartition("/")[0]
        while parent and parent not in needed and parent not in folders:
            node = sysroot.get(parent)
            if node is not None and node.kind is Kind.DIRECTORY:
                folders[parent] = Needed(node, Reason(ReasonKind.PARENT, path))
            parent = parent.rpartition("/")[0]
    return [*needed.values(), *folders.values()]


def _asked(recipe: Recipe, local: LocalFiles) -> frozenset[str]:
    """Names of users and groups that the recipe speaks of."""
    names = {*recipe.config.user.split(":"), *(group for user in recipe.users for group in user.groups)}
    return frozenset(names | {name for node in local.nodes() for name in (node.user, node.group)})


def _accounts(
    recipe: Recipe, local: LocalFiles, needed: Iterable[Needed], present: frozenset[str], ground: Sysroot
) -> Accounts:
    accounts = make_accounts(
        recipe.users,
        recipe.groups,
        [item.node for item in needed if item.node.package],
        configuration=local.configured,
        present=present,
        asked=_asked(recipe, local),
        base=read_accounts(ground),
    )
    user, _, group = recipe.config.user.partition(":")
    accounts.owner_ids(Owner(user=user or "root", group=group or "root"), asked_by="[config] user")
    return accounts


def _entries(needed: Iterable[Needed], accounts: Accounts, local: LocalFiles) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    first_names: dict[tuple[str, str, Content], str] = {}
    own = {node.path for node in (*local.configured.nodes, *local.nodes())}
    for item in sorted(needed, key=lambda item: item.node.path.encode("utf-8", "surrogateescape")):
        node = item.node
        link = _hardlink(node, first_names)
        content = None if link or node.kind is not Kind.FILE else node.content or local.made[node.path]
        uid, gid = _written_owner(node, accounts) if node.path in own else (node.uid, node.gid)
        entries[node.path] = Entry(
            path=node.path,
            kind=node.kind,
            mode=node.mode,
            uid=uid,
            gid=gid,
            content=content,
            target=node.target,
            hardlink=link,
            xattrs=node.xattrs,
            package=node.package,
            reason=item.reason,
        )
    return entries


def _hardlink(node: Node, first_names: dict[tuple[str, str, Content], str]) -> str:
    """The entry, already in the image, whose file this is too; "" when this is the first of its names."""
    if node.kind is not Kind.FILE or not node.package or node.content is None:
        return ""
    # With the bytes: the recipe may have laid another file of the package over the first name.
    key = (node.package, node.hardlink or node.path, node.content)
    return "" if first_names.setdefault(key, node.path) == node.path else first_names[key]


def _written_owner(node: Node, accounts: Accounts) -> tuple[int, int]:
    owner = Owner(user=node.user or str(node.uid), group=node.group or str(node.gid))
    return accounts.owner_ids(owner, asked_by=node.path)


def _add_new(entries: dict[str, Entry], more: Iterable[Entry]) -> None:
    for entry in list(more):
        entries.setdefault(entry.path, entry)


def _material(recipe: Recipe, sysroot: Sysroot, local: LocalFiles) -> Material:
    runtime = recipe.runtime
    return Material(sysroot=sysroot, made=local.made, drop=runtime.drop, features=runtime.features)


def _made_entry(file: MadeFile, reason: Reason) -> Entry:
    return Entry(
        path=file.path,
        kind=Kind.SYMLINK if file.target else Kind.FILE,
        mode=0o777 if file.target else 0o644,
        content=None if file.target else file.content,
        target=file.target,
        package=file.package,
        reason=reason,
    )


def _system(recipe: Recipe, accounts: Accounts, libraries: Entry | None, ground: Sysroot) -> dict[str, Entry]:
    """What no package has and every image needs, and where the image starts."""
    has_libraries = libraries is not None or ground.get(LD_SO_CACHE) is not None
    entries = {entry.path: entry for entry in system_entries(accounts, nsswitch=has_libraries)}
    _add_new(entries, [libraries] if libraries is not None else [])
    folders = start_folders(recipe.config, recipe.users, accounts)
    _add_new(entries, (one for one in folders if ground.lookup(one.path).node is None))
    return entries


def _library_cache(
    entries: Mapping[str, Entry], ground: Sysroot, sysroot: Sysroot, facts: ElfFacts
) -> Entry | None:
    """The index of the shared objects in the image, or None when nothing new is loaded dynamically."""
    added = [node for path in entries if (node := sysroot.get(path)) is not None]
    if len(ground) > 1 and not any(node.kind is Kind.FILE and facts.of(node) for node in added):
        return None
    image = ground.overlay(added)
    content = cache_for(image, facts, configuration=sysroot)
    reason = Reason(ReasonKind.CACHE)
    return (
        Entry(path=LD_SO_CACHE, kind=Kind.FILE, mode=0o644, content=content, reason=reason)
        if content
        else None
    )


def _add_records(entries: dict[str, Entry], ground: Sysroot, sysroot: Sysroot) -> None:
    """Add what says which packages and reasons ``entries`` have; from here on no path is added."""
    _add_new(entries, _records(entries, ground, sysroot))
    _add_new(entries, [record_entry(())])  # its folders are in it
    _add_new(entries, folders_of(ground, entries))
    _add_new(entries, missing_parents(entries))
    _check_folders(entries)
    add_record(entries)


def _records(entries: Mapping[str, Entry], ground: Sysroot, sysroot: Sysroot) -> list[Entry]:
    owned: dict[str, list[Entry]] = {}
    for entry in entries.values():
        if entry.package and entry.kind is not Kind.DIRECTORY:
            owned.setdefault(entry.package, []).append(entry)
    if len(ground) > 1:
        records = {record.path: record for record in records_over(ground, owned, sysroot.packages)}
        return list(added_to(ground, records).values())
    return [
        record for name in sorted(owned) for record in record_entries(sysroot.packages[name], owned[name])
    ]


def _check_folders(entries: Mapping[str, Entry]) -> None:
    for path, entry in entries.items():
        parent = entries.get(path.rpartition("/")[0])
        if parent is not None and parent.kind is not Kind.DIRECTORY:
            raise ResolutionError(
                f"{path} ({entry.reason}) lies below {parent.path}, "
                f"which is a {parent.kind.value} ({parent.reason})",
                hint="take one of the two out, or use the folder that the link leads to",
            )


def _distribution(entries: Mapping[str, Entry], ground: Sysroot, sysroot: Sysroot) -> str:
    found = sysroot.lookup("/etc/os-release")
    if found.node is None or found.node.content is None:
        return ""
    if found.path not in entries and ground.get(found.path) is None:
        return ""
    text = read_content(found.node.content).decode(errors="replace")
    fields = parse_os_release(text)
    return "-".join(filter(None, (fields.get(key) for key in ("ID", "VERSION_ID"))))
