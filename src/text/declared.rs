//! The encoding that a file declares: `coding:` lines, XML, HTML and CSS.

use encoding_rs::Encoding;

/// Bytes that are searched for a declaration, as many as browsers search.
const HEAD: usize = 1_024;

/// What stands before the name of an encoding.
const MARKS: [&[u8]; 5] = [
    b"fileencoding=",
    b"coding:",
    b"coding=",
    b"charset=",
    b"encoding=",
];

/// Return the encoding that the head of a file declares; `None` when it declares none, or one that is not known.
pub fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(HEAD)].to_ascii_lowercase();
    let is_xml = head.trim_ascii_start().starts_with(b"<");
    if let Some(rest) = head.strip_prefix(b"@charset \"") {
        return known(rest);
    }
    MARKS.iter().find_map(|mark| {
        let at = head
            .windows(mark.len())
            .position(|window| window == *mark)?;
        // `encoding=` is no `coding=`.
        if head[..at].last().is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        // Elsewhere than in markup only the first two lines declare something.
        let lines = head[..at].iter().filter(|byte| **byte == b'\n').count();
        let is_markup = matches!(*mark, b"charset=" | b"encoding=");
        match is_markup {
            true if !is_xml => None,
            false if lines > 1 => None,
            _ => known(&head[at + mark.len()..]),
        }
    })
}

/// Return the encoding whose name begins `text`, behind blanks and quotes.
fn known(text: &[u8]) -> Option<&'static Encoding> {
    let text = text.trim_ascii_start();
    let text = match text {
        [b'"' | b'\'', rest @ ..] => rest,
        _ => text,
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let end = text
        .iter()
        .position(|byte| !is_name(byte))
        .unwrap_or(text.len());
    let name = &text[..end];
    // Emacs adds how lines end; Python has names of its own.
    let name = ["-unix", "-dos", "-mac"]
        .iter()
        .find_map(|end| name.strip_suffix(end.as_bytes()))
        .unwrap_or(name);
    let dashed: Vec<u8> = name
        .iter()
        .map(|byte| if *byte == b'_' { b'-' } else { *byte })
        .collect();
    Encoding::for_label(name)
        .or_else(|| Encoding::for_label(&dashed))
        .or_else(|| match &dashed[..] {
            b"latin-1" | b"iso-latin-1" => Some(encoding_rs::WINDOWS_1252),
            b"cp932" | b"sjis" => Some(encoding_rs::SHIFT_JIS),
            b"cp936" => Some(encoding_rs::GBK),
            b"cp949" | b"uhc" => Some(encoding_rs::EUC_KR),
            b"cp950" => Some(encoding_rs::BIG5),
            b"cp866" => Some(encoding_rs::IBM866),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_of_many_kinds_are_found() {
        for (head, name) in [
            ("# -*- coding: gbk -*-\n", "GBK"),
            ("#!/usr/bin/python\n# coding=euc_jp\n", "EUC-JP"),
            ("# -*- coding: latin-1 -*-", "windows-1252"),
            ("# vim: set fileencoding=cp1251 :\n", "windows-1251"),
            (";; -*- coding: iso-8859-2-unix -*-\n", "ISO-8859-2"),
            ("<?xml version=\"1.0\" encoding='KOI8-R'?>", "KOI8-R"),
            ("<html>\n<head>\n\n<meta charset=big5>", "Big5"),
            (
                "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=Shift_JIS\">",
                "Shift_JIS",
            ),
            ("@charset \"windows-1250\";\n", "windows-1250"),
        ] {
            assert_eq!(
                declared(head.as_bytes()).map(Encoding::name),
                Some(name),
                "{head}"
            );
        }
    }

    #[test]
    fn other_lines_declare_nothing() {
        for head in [
            "a\nb\n# coding: gbk\n",
            "open(f, encoding=\"gbk\")\n",
            "# coding: unknown\n",
            "coding\n",
            "",
        ] {
            assert_eq!(declared(head.as_bytes()), None, "{head}");
        }
    }
}
