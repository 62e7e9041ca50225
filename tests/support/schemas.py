"""Schemas of GSettings that use what their files can say, and ones in which something is wrong."""

from __future__ import annotations

EVERYTHING = """<?xml version="1.0" encoding="UTF-8"?>
<schemalist gettext-domain="lab" xmlns:other="http://example.org">
  <enum id="org.example.Colour"><value nick="red" value="0"/><value nick="green" value="0x2"/></enum>
  <flags id="org.example.Sides"><value nick="none" value="0"/><value nick="left" value="1"/>
    <value nick="a-very-long-side" value="4"/></flags>
  <schema id="org.example.lab" path="/org/example/lab/">
    <other:key name="ignored"/>
    <key name="truth" type="b"><default>true</default><summary>s</summary><description>d</description></key>
    <key name="octet" type="y"><range max="0x20"/><default>017</default></key>
    <key name="small" type="n"><default>-5</default></key>
    <key name="port" type="q"><range min="1" max="0xffff"/><default>8080</default></key>
    <key name="number" type="i"><range min="-3"/><default> 7 </default></key>
    <key name="count" type="u"><default>4294967295</default></key>
    <key name="long" type="x"><default>-9223372036854775808</default></key>
    <key name="ulong" type="t"><range/><default>18446744073709551615</default></key>
    <key name="ratio" type="d"><range min="0" max="1e3"/><default>1.5e2</default></key>
    <key name="infinite" type="d"><default>inf</default></key>
    <key name="text" type="s"><default>'h\\u00e9 &amp; \\'x\\''</default></key>
    <key name="path" type="o"><default>'/a/b'</default></key>
    <key name="signature" type="g"><default>'a{sv}'</default></key>
    <key name="words" type="as"><default>['a', "b", <!-- between --> 'c']</default></key>
    <key name="no-words" type="as"><default>[]</default></key>
    <key name="layouts" type="a(ss)"><default>[('xkb', 'us'), ('ibus', 'anthy')]</default></key>
    <key name="size" type="(ii)"><default>(-1, -1)</default></key>
    <key name="mixed" type="(yvasd)"><default>(1, &lt;[1.0, 2]&gt;, ['x'], 2)</default></key>
    <key name="table" type="a{sv}">
      <default>{'a': &lt;1&gt;, 'b': &lt;uint16 2&gt;,
      'c': &lt;@as []&gt;, 'd': &lt;('x', [@mi nothing, 1])&gt;}</default></key>
    <key name="pairs" type="a{su}"><default>{'one': 1, 'two': 2}</default></key>
    <key name="maybe" type="mb"><default>just true</default></key>
    <key name="perhaps" type="ms"><default>nothing</default></key>
    <key name="deep" type="mmai"><default>[1, 2]</default></key>
    <key name="bytes" type="ay"><default>b'a\\001b'</default></key>
    <key name="anything" type="v"><default>&lt;{'k': [(1, true)]}&gt;</default></key>
    <key name="colour" enum="org.example.Colour">
      <aliases><alias value="rouge" target="red"/></aliases><default>'green'</default></key>
    <key name="sides" flags="org.example.Sides"><default>['left']</default></key>
    <key name="choice" type="s"><choices><choice value="one"/><choice value="twenty-seven"/></choices>
      <aliases><alias value="uno" target="one"/></aliases><default>'one'</default></key>
    <key name="choices" type="as">
      <choices><choice value="one"/><choice value="two"/></choices><default>['two']</default></key>
    <key name="greeting" type="s"><default l10n="messages" context="formal">  'hello'  </default></key>
    <key name="clock" type="s"><default l10n="time">'24h'</default></key>
    <child name="child" schema="org.example.lab.child"/>
    <child name="lost" schema="org.example.lost"/>
  </schema>
  <schema id="org.example.lab.child" gettext-domain="other">
    <key name="a" type="s"><default>'parent'</default></key></schema>
  <schema id="org.example.lab.extended" extends="org.example.lab.child" path="/x/">
    <override name="a" l10n="messages">'changed'</override>
    <key name="b" type="b"><default>false</default></key>
  </schema>
  <schema id="org.example.lab.list" path="/org/example/list/:/" list-of="org.example.lab.child"/>
  <schema id="org.example.lab.empty"/>
</schemalist>
"""
OVERRIDES = """# A distribution's own defaults
[org.example.lab]
port = 99
number=-9
text='vendor'
colour='rouge'
no-such-key=1
[org.example.lab:GNOME]
text='for GNOME'
clock='12h'
[org.example.lab:KDE]
text='for KDE'
[org.example.missing]
a=1
"""


def _key(inside: str, attributes: str = "") -> str:
    return f"<schemalist><schema id='a'><key name='k' {attributes}>{inside}</key></schema></schemalist>"


WRONG = {
    "no XML": "<schemalist>",
    "another document": "<html/>",
    "a schema without an id": "<schemalist><schema/></schemalist>",
    "an attribute of no meaning": "<schemalist><schema id='a' colour='b'/></schemalist>",
    "a schema twice": "<schemalist><schema id='a'/><schema id='a'/></schemalist>",
    "a path without its slash": "<schemalist><schema id='a' path='/x'/></schemalist>",
    "a parent that comes later": "<schemalist><schema id='a' extends='b'/><schema id='b'/></schemalist>",
    "a key without a default": _key("", "type='s'"),
    "a key of no type": _key("<default>1</default>"),
    "a key of a wrong type": _key("<default>1</default>", "type='%'"),
    "a key of an unknown enumeration": _key("<default>'a'</default>", "enum='e'"),
    "a default of another type": _key("<default>1</default>", "type='s'"),
    "a default out of range": _key("<range min='5'/><default>1</default>", "type='i'"),
    "a range of texts": _key("<range min='5'/><default>'a'</default>", "type='s'"),
    "a range that is empty": _key("<range min='5' max='4'/><default>5</default>", "type='i'"),
    "a default that is no choice": _key(
        "<choices><choice value='a'/></choices><default>'b'</default>", "type='s'"
    ),
    "choices of numbers": _key("<choices><choice value='a'/></choices><default>1</default>", "type='i'"),
    "another name for nothing": _key(
        "<choices><choice value='a'/></choices><aliases><alias value='c' target='b'/></aliases>"
        "<default>'a'</default>",
        "type='s'",
    ),
    "a translation without a domain": _key("<default l10n='messages'>'b'</default>", "type='s'"),
    "a translation of an unknown kind": _key("<default l10n='jokes'>'b'</default>", "type='s'"),
    "a name with two hyphens": _key("<default>1</default>", "type='i'").replace("'k'", "'a--b'"),
    "a name in capitals": _key("<default>1</default>", "type='i'").replace("'k'", "'K'"),
    "an element of no meaning": _key("<value/>", "type='i'"),
    "text where none is": "<schemalist>here</schemalist>",
    "an enumeration without values": "<schemalist><enum id='e'/></schemalist>",
    "a number twice": "<schemalist><enum id='e'><value nick='aa' value='1'/>"
    "<value nick='bb' value='1'/></enum></schemalist>",
    "a flag of two bits": "<schemalist><flags id='e'><value nick='aa' value='3'/></flags></schemalist>",
    "a name of one letter": "<schemalist><enum id='e'><value nick='a' value='1'/></enum></schemalist>",
    "a key in a list of schemas": "<schemalist><schema id='b'/><schema id='a' list-of='b'>"
    "<key name='k' type='i'><default>1</default></key></schema></schemalist>",
    "an override of nothing": "<schemalist><schema id='b'/><schema id='a' extends='b'>"
    "<override name='k'>1</override></schema></schemalist>",
}
