"""Archives as sources: fetched by the builder, proven by their checksum, unpacked with Debian's own tools.

Debian's image has tar and gzip, but no xz, bzip2, zstd and unzip. dpkg-deb decompresses the first three when
they are dressed up as a package; zip archives are taken apart by perl, which is essential: each member is
DEFLATE, and becomes a gzip file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.containerfile.context import Context
from builder.containerfile.origins import Origin
from builder.containerfile.provision import SOURCES, Provision, Stage
from builder.containerfile.quote import path_form, shell_word
from builder.containerfile.script import Command, comment, runs
from builder.recipe.source_model import ArchiveSource
from builder.sysroot import Sysroot

TREE = "/tree"
"""Where the stage of an archive has what is in it."""
_FILE = "/archive"
_ZIPS = (".zip", ".whl", ".jar", ".war", ".egg")
_PACKAGED = {
    ".xz": "xz",
    ".txz": "xz",
    ".bz2": "bz2",
    ".tbz": "bz2",
    ".tbz2": "bz2",
    ".zst": "zst",
    ".tzst": "zst",
}
UNZIP = r"""
my ($file, $to) = @ARGV; local $/;
open my $in, "<:raw", $file or die "$file: $!"; my $zip = <$in>;
my $end = rindex $zip, "PK\5\6"; die "no zip archive" if $end < 0;
my ($count, $size, $at) = unpack "x10 v V V", substr $zip, $end;
for (1 .. $count) {
  my ($made, $flags, $method, $crc, $packed, $whole, $n, $x, $c, $mode, $local) =
    unpack "x4 v x2 v v x4 V V V v v v x4 V V", substr $zip, $at, 46;
  my $name = substr $zip, $at + 46, $n; $at += 46 + $n + $x + $c;
  die "$name: no name of a file" if $name =~ m{^/|(^|/)\.\.(/|$)};
  my ($skip, $more) = unpack "x26 v v", substr $zip, $local, 30;
  my $body = substr $zip, $local + 30 + $skip + $more, $packed;
  my $path = "$to/$name"; my $folder = $path; $folder =~ s{/[^/]*$}{};
  system("mkdir", "-p", $folder) == 0 or die; next if $name =~ m{/$};
  die "$name: method $method" if $method != 0 && $method != 8 or $flags & 1;
  $ENV{TO} = $path;
  open my $out, "|-", $method ? "gzip -dc > \"\$TO\"" : "cat > \"\$TO\"" or die; binmode $out;
  print $out $method ? "\x1f\x8b\x08\0\0\0\0\0\0\xff" . $body . pack("V V", $crc, $whole) : $body;
  close $out or die "$name: damaged"; die "$name: damaged" if -s $path != $whole;
  chmod $mode >> 16 & 0777, $path if $made >> 8 == 3 && $mode >> 16 & 0777;
}
""".strip()
"""A reader of zip archives for perl-base, which has no module for that: archive, folder."""


def stage_name(source: str) -> str:
    """The stage in which the archive of a source is unpacked."""
    return f"source-{source.lower()}"


def provide_archive(source: ArchiveSource, tree: Sysroot, context: Context, unpack: str) -> Provision:
    """A stage that unpacks the archive, and a copy of what is in it. ``unpack``: the image with the tools."""
    name = stage_name(source.name)
    place = source.url or context.relative(source.path or Path())
    words = f"{place}: the source {source.name}"
    stage = Stage(
        title=comment(words),
        start=unpack,
        name=name,
        steps=(_addition(source, place), *runs("", commands(source, place))),
    )
    folder = f"{SOURCES}/{source.name}"
    root = source.root.rstrip("/")
    origin = Origin(
        folder=folder,
        words=words,
        nodes=tuple(node for node in tree if node.path != "/"),
        links=False,
        modes=not _is_zip(place),
    )
    copy = f"COPY --from={name} {path_form([f'{TREE}{root}/', f'{folder}/'])}"
    return Provision(origins=(origin,), stages=(stage,), copies=((copy,),), context=source.path is not None)


def _addition(source: ArchiveSource, place: str) -> tuple[str, ...]:
    if source.url:
        return ("# rootlet ignore=add-url", f"ADD {path_form([place.replace('$', '%24'), _FILE])}")
    return (f"COPY {path_form([place, _FILE])}",)


def commands(source: ArchiveSource, place: str) -> Iterator[Command]:
    """Prove the archive and unpack it into :data:`TREE`; ``place`` ends as its name does."""
    if source.sha256:
        yield Command(start=f"echo '{source.sha256}  {_FILE}' > /SHA256SUMS")
        yield Command(start="sha256sum --check --strict --quiet /SHA256SUMS")
    yield Command(start=f"mkdir {TREE}")
    if _is_zip(place):
        yield from unzip(_FILE, TREE)
        yield from _stripped(source.strip)
        return
    kind = _PACKAGED.get(Path(place.lower()).suffix)
    if kind:
        yield from _dressed(kind)
    strip = f" --strip-components={source.strip}" if source.strip else ""
    yield Command(start=f"tar -xpf {'/archive.tar' if kind else _FILE} -C {TREE} --no-same-owner{strip}")


def unzip(archive: str, folder: str) -> Iterator[Command]:
    """Take a zip archive apart. The reader is written to a file first."""
    lines = tuple(map(shell_word, UNZIP.split("\n")))
    yield Command(start="printf '%s\\n'", words=lines, end="> /unzip.pl")
    yield Command(start=f"perl /unzip.pl {shell_word(archive)} {shell_word(folder)}")


def _stripped(count: int) -> Iterator[Command]:
    for _ in range(count):
        yield Command(start=f"mv {TREE} /whole")
        yield Command(start=f"mkdir {TREE}")
        yield Command(start=f"find /whole -mindepth 2 -maxdepth 2 -exec mv -t {TREE} {{}} +")
        yield Command(start="rm -r /whole")


def _dressed(kind: str) -> Iterator[Command]:
    """Decompress with dpkg-deb: the archive as the data of a package with nothing else (ar(5), deb(5))."""
    header = "printf '%-16s%-12s%-6s%-6s%-8s%-10s`\\n'"
    yield Command(
        start="printf '2.0\\n' > /debian-binary",
        comments=comment("dpkg-deb decompresses packages, so be one."),
    )
    yield Command(start="tar -cf /control.tar -T /dev/null")
    yield Command(start="printf '!<arch>\\n' > /archive.deb")
    for name, path in (
        ("debian-binary", "/debian-binary"),
        ("control.tar", "/control.tar"),
        (f"data.tar.{kind}", _FILE),
    ):
        yield Command(start=f'{header} {name} 0 0 0 100644 "$(stat -c %s {path})" >> /archive.deb')
        yield Command(start=f"cat {path} >> /archive.deb")
        yield Command(start='test "$(( $(stat -c %s /archive.deb) % 2 ))" = 0 || echo >> /archive.deb')
    yield Command(start="dpkg-deb --fsys-tarfile /archive.deb > /archive.tar")


def _is_zip(place: str) -> bool:
    return place.lower().endswith(_ZIPS)
