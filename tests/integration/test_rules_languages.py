"""The proof of each rule of a language or a server: a real program breaks in an image without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rule_lab import NATIVE, Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_SCRATCH = "/tmp"  # noqa: S108 (inside the image)
_HOME = {"HOME": _SCRATCH}
_APACHE = """\
ServerName localhost
ErrorLog /dev/stderr
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
"""
_NGINX = """\
load_module /usr/lib/nginx/modules/ngx_http_geoip2_module.so;
error_log stderr;
pid /tmp/pid;
events {}
http {
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path /tmp/1;
    proxy_temp_path /tmp/2;
    fastcgi_temp_path /tmp/3;
    uwsgi_temp_path /tmp/4;
    scgi_temp_path /tmp/5;
}
"""
_DRAWING = """\
import fiona
with fiona.open("/tmp/x.dxf", "w", driver="DXF", schema={"geometry": "Point", "properties": {}}) as drawing:
    drawing.writerecords({"geometry": {"type": "Point", "coordinates": (n, n)}} for n in range(2))
print(open("/tmp/x.dxf").read().count("AcDbPoint"))
"""
_JPEG = (
    '$i = new Imagick(); $i->newImage(9, 9, "#ff0000"); $i->setImageFormat("jpeg");'
    "echo bin2hex(substr($i->getImageBlob(), 0, 2));"
)
_POSTSCRIPT = """\
%!PS-Adobe-3.0
%%BoundingBox: 0 0 50 50
%%Pages: 1
%%EndComments
%%Page: 1 1
/Helvetica findfont 12 scalefont setfont 10 10 moveto (hi) show showpage
%%EOF
"""
_RENDER = """\
import ctypes
s = ctypes.CDLL("libspectre.so.1")
s.spectre_document_new.restype = s.spectre_render_context_new.restype = ctypes.c_void_p
d, c = ctypes.c_void_p(s.spectre_document_new()), ctypes.c_void_p(s.spectre_render_context_new())
s.spectre_document_load(d, b"/page.ps")
pixels, row = ctypes.c_void_p(), ctypes.c_int()
s.spectre_document_render(d, ctypes.byref(pixels), ctypes.byref(row))
print("status", s.spectre_document_status(d))
"""
_JAVA = f"/usr/lib/jvm/java-21-openjdk-{NATIVE.partition('/')[2]}/bin/java"
_JUNIT = "org.junit.runner.JUnitCore"
_POLICY = "echo Imagick::getResourceLimit(Imagick::RESOURCETYPE_WIDTH);"
_INITDB = ("/usr/lib/postgresql/17/bin/initdb", "--no-sync", "-D", f"{_SCRATCH}/data")
_PAPER = """\
import ctypes
paper = ctypes.CDLL("libpaper.so.2")
paper.paperinfo.restype = ctypes.c_void_p
print("set up", paper.paperinit(), "A3 known" if paper.paperinfo(b"A3") else "nothing")
"""
_PLUGIN = """\
import ctypes
client = ctypes.CDLL("libmariadb.so.3")
client.mysql_init.restype = client.mysql_client_find_plugin.restype = ctypes.c_void_p
connection = ctypes.c_void_p(client.mysql_init(None))
print("loaded" if client.mysql_client_find_plugin(connection, b"client_ed25519", 2) else "missing")
"""
_HEIF = """\
import ctypes
heif = ctypes.CDLL("libheif.so.1")
heif.heif_init(None)
print("decodes HEVC" if heif.heif_have_decoder_for_format(1) else "cannot")
"""
_HAPROXY = """\
global
    lua-load /script.lua
listen one
    mode tcp
    bind /tmp/socket
    timeout client 1s
"""
_TZINFO = "require 'tzinfo'; puts TZInfo::Timezone.get('Europe/Berlin').canonical_identifier"
_COMMAND = 'cat(nchar(system("echo hello", intern=TRUE)))'


def python(rule: str, program: str, expect: str, without: str, *packages: str) -> Proof:
    """Give a proof that runs ``program`` with Python."""
    return Proof(
        rule=rule,
        packages=packages or ("python3-minimal", "libpython3-stdlib"),
        argv=("python3", "-c", program),
        expect=expect,
        without=without,
    )


PROOFS = (
    python("paper-sizes", _PAPER, "A3 known", "", "python3", "libspectre1"),
    python("mariadb-client-plugins", _PLUGIN, "loaded", "missing", "python3", "python3-mysqldb"),
    python("heif-plugins", _HEIF, "decodes HEVC", "cannot", "python3", "libgd-tools"),
    Proof(
        rule="imagemagick-settings",
        packages=("php8.4-cli", "php-imagick"),
        argv=("php8.4", "-r", _POLICY),
        expect="^32000$",
    ),
    Proof(
        rule="lua-modules",
        packages=("haproxy", "lua-sec"),
        argv=("haproxy", "-c", "-f", "/haproxy.conf"),
        files={"/haproxy.conf": _HAPROXY, "/script.lua": "print(require('socket')._VERSION)\n"},
        expect="LuaSocket",
        without="module 'socket' not found",
    ),
    python("python-library", "import json, sqlite3; print(json.dumps([1]))", r"\[1\]", "encodings"),
    python(
        "python-find-library",
        "import ctypes.util; print(ctypes.util.find_library('c'))",
        r"libc\.so\.6",
        "None",
    ),
    python(
        "python-foreign-libraries",
        "import magic; print(magic.from_buffer(b'%PDF-1.4'))",
        "PDF document",
        "failed to find libmagic",
        "python3",
        "python3-magic",
    ),
    python(
        "python-data",
        "import zoneinfo; print(zoneinfo.ZoneInfo('Asia/Tokyo'))",
        "Asia/Tokyo",
        "No time zone found|ModuleNotFoundError",
    ),
    Proof(  # where nothing depends on tzdata
        rule="python-data",
        suite="bookworm",
        packages=("python3-minimal", "libpython3-stdlib"),
        argv=("python3", "-c", "import zoneinfo; print(zoneinfo.ZoneInfo('Asia/Tokyo'))"),
        expect="Asia/Tokyo",
        without="No time zone found|ModuleNotFoundError",
    ),
    Proof(
        rule="python-packages",
        packages=("python3-flask",),
        argv=("python3", "-c", "import flask; print(flask.Flask(__name__).name)"),
        expect="__main__",
        without="No module named 'werkzeug'",
    ),
    Proof(
        rule="perl-library",
        packages=("libwww-perl",),
        argv=("perl", "-MLWP::UserAgent", "-e", "print LWP::UserAgent->new->get('file:///etc/passwd')->code"),
        expect="200",
        without="Can't locate strict.pm",
    ),
    Proof(
        rule="ruby-library",
        packages=("ruby",),
        argv=("ruby", "-e", "require 'json'; require 'csv'; puts JSON.dump(CSV.parse('1,2'))"),
        expect=r'\[\["1","2"\]\]',
        without="cannot load such file",
    ),
    Proof(
        rule="ruby-timezones",
        packages=("ruby", "ruby-tzinfo"),
        argv=("ruby", "-e", _TZINFO),
        expect="Europe/Berlin",
        without="DataSourceNotFound",
    ),
    Proof(
        rule="php-extensions",
        packages=("php-cli", "php-mbstring"),
        argv=("php8.4", "-r", "echo mb_strlen('äö'), ctype_alpha('x') ? 'y' : 'n';"),
        expect="2y",
        without="undefined function mb_strlen",
    ),
    Proof(
        rule="php-timezones",
        packages=("php-cli", "php-mbstring"),
        argv=("php8.4", "-r", "echo (new DateTimeZone('Europe/Berlin'))->getName();"),
        expect="^Europe/Berlin",
        without="bad timezone",
        also=("time-zones-of-programs",),
    ),
    Proof(
        rule="node-library",
        packages=("nodejs",),
        argv=("node", "-e", "fetch('data:text/plain,hello').then(r => r.text()).then(console.log)"),
        expect="hello",
        without="Cannot load externalized builtin",
    ),
    Proof(
        rule="java-runtime",
        packages=("ant",),
        keep=("/usr/lib/jvm/*/bin/java",),
        argv=(_JAVA, "-jar", "/usr/share/ant/lib/ant-launcher.jar", "-version"),
        expect="Apache Ant.* version 1",
        without="could not find libjava.so",
    ),
    Proof(
        rule="java-libraries",
        packages=("junit4", "openjdk-21-jre-headless"),
        argv=(_JAVA, "-cp", "/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar", _JUNIT),
        expect=r"OK \(0 tests\)",
        without="NoClassDefFoundError: org/hamcrest",
    ),
    Proof(
        rule="java-certificates",
        packages=("openjdk-21-jre-headless",),
        argv=(_JAVA.removesuffix("java") + "keytool", "-list", "-cacerts", "-storepass", "changeit"),
        expect=r"debian:isrg_root_x1\.pem",
        without="Keystore file does not exist",
    ),
    Proof(
        rule="r-library",
        packages=("littler",),
        argv=("r", "-e", "cat(format(as.POSIXct(0), tz='Asia/Tokyo'), median(c(1, 2, 9)))"),
        env={"R_HOME": "/usr/lib/R"},
        expect="1970-01-01 09:00:00 2",
        without="unable to open the base package",
    ),
    Proof(
        rule="r-shell",
        packages=("r-base-core",),
        argv=("R", "--vanilla", "-s", "-e", _COMMAND),
        expect="^5",
        without="No such file",
    ),
    Proof(
        rule="tcl-library",
        packages=("tcl",),
        argv=("tclsh",),
        stdin="package require msgcat; puts [clock format 0 -timezone Asia/Tokyo]",
        expect="Thu Jan 01 09:00:00",
        without="Can't find a usable init.tcl",
    ),
    Proof(
        rule="lua-interpreter",
        packages=("lua5.4", "prosody"),
        argv=("lua5.4", "-e", "print(require('socket')._VERSION)"),
        expect="LuaSocket",
        without="module 'socket' not found",
    ),
    Proof(
        rule="erlang-library",
        packages=("elixir",),
        argv=(
            "/usr/lib/elixir/bin/elixir",
            "-e",
            "IO.puts(String.upcase(inspect(:crypto.hash(:sha, []) |> byte_size)))",
        ),
        env=_HOME,
        expect="20",
        without="load_failed",
    ),
    Proof(
        rule="erlang-shell",
        packages=("erlang-base",),
        argv=(
            "/usr/lib/erlang/bin/erl",
            "-noshell",
            "-eval",
            'io:format("~p~n", [lists:sum([1,2])]), halt().',
        ),
        env=_HOME,
        expect="^3",
        without="No such file",
    ),
    Proof(
        rule="erlang-certificates",
        packages=("erlang-base", "erlang-ssl"),
        argv=(
            "/usr/lib/erlang/bin/erl",
            "-noshell",
            "-eval",
            'io:format("~p", [length(public_key:cacerts_get()) > 99]), halt().',
        ),
        env=_HOME,
        expect="^true",
        without="enoent|no_cacerts_found",
        also=("certificates",),
    ),
    Proof(
        rule="elixir-programs",
        packages=("elixir",),
        argv=("/usr/lib/elixir/bin/elixir", "-e", "IO.puts(1 + 2)"),
        env=_HOME,
        expect="^3",
        without="No such file|not found",
    ),
    Proof(
        rule="guile-library",
        packages=("make-guile",),
        argv=("make", "-f", "-"),
        stdin="$(info $(guile (number->string (apply + (iota 4)))))\nall:;\n",
        expect="^6",
    ),
    Proof(
        rule="imagemagick-coders",
        packages=("php8.4-cli", "php-imagick"),
        argv=("php8.4", "-r", _JPEG),
        expect="^ffd8",
        without="Unable to set image format",
    ),
    Proof(
        rule="ghostscript-resources",
        packages=("python3-minimal", "libpython3-stdlib", "libspectre1"),
        argv=("python3", "-c", _RENDER),
        files={"/page.ps": _POSTSCRIPT},
        expect="status 0",
        without="status [1-9]|initialization file",
    ),
    Proof(
        rule="apache-modules",
        packages=("libapache2-mod-php8.4",),
        keep=("/usr/sbin/apache2",),
        files={"/server.conf": _APACHE},
        argv=("apache2", "-f", "/server.conf", "-M"),
        expect="mpm_prefork_module",
        without="Cannot load /usr/lib/apache2/modules",
    ),
    Proof(
        rule="nginx-modules",
        packages=("libnginx-mod-http-geoip2",),
        keep=("/usr/sbin/nginx",),
        files={"/server.conf": _NGINX},
        argv=("nginx", "-p", _SCRATCH, "-e", "stderr", "-t", "-c", "/server.conf"),
        user="65534",
        expect="test is successful",
        without=r"mime\.types",
    ),
    Proof(
        rule="postgresql-programs",
        packages=("postgresql",),
        keep=("/usr/lib/postgresql/*/bin/initdb",),
        argv=_INITDB,
        user="65534",
        expect="Success",
        without='program "postgres" is needed|No such file',
    ),
    Proof(
        rule="postgresql-modules",
        packages=("postgresql-17-pgvector",),
        keep=("/usr/lib/postgresql/*/bin/initdb",),
        argv=_INITDB,
        user="65534",
        expect="Success",
        without="postgres.bki",
    ),
    Proof(
        rule="postgresql-timezones",
        packages=("postgresql",),
        keep=("/usr/lib/postgresql/*/bin/initdb",),
        argv=(*_INITDB, "--set", "timezone=Europe/Berlin"),
        user="65534",
        expect="Success",
        without="invalid value for parameter .TimeZone.",
        also=("time-zones-of-programs",),
    ),
    Proof(
        rule="proj-data",
        packages=("gdal-bin",),
        argv=("gdalsrsinfo", "-o", "proj4", "EPSG:4326"),
        expect=r"\+proj=longlat",
        without="Cannot find proj.db",
    ),
    python("gdal-data", _DRAWING, "^2$", r"header\.dxf", "python3", "python3-fiona"),
    Proof(
        rule="tesseract-data",
        packages=("ocrmypdf",),
        keep=("/usr/bin/tesseract",),
        argv=("tesseract", "--list-langs"),
        expect=r"\beng\b",
        without="No such file or directory",
    ),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs, so that those of the same packages share a plan."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_the_rule_the_program_breaks(proof: Proof, lab: Lab) -> None:
    lab.check(proof)
