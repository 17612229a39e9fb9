use super::*;
use crate::chunk::{Decoded, DecodedText};
use crate::file::RelPath;
use encoding_rs::Encoding;
use proptest::prelude::*;

fn decode_file(bytes: &[u8]) -> Decoded {
    decode(bytes, &RelPath::from_spelling("a").expect("a name"))
}

fn decoded(bytes: &[u8]) -> DecodedText {
    match decode_file(bytes) {
        Decoded::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Some lines of text in many languages, with the encodings that they are written in.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "# 日本語のコメント: 支払いの再試行処理\ndef retry_jp(x):\n    return x + 1\n",
        &["shift_jis", "euc-jp", "iso-2022-jp"],
    ),
    (
        "// このモジュールは接続を管理します。失敗した場合は再接続を行い、一定の時間が経過した後に例外を送出します。\nint main(void) { return 0; } // メイン関数\n",
        &["shift_jis", "euc-jp", "iso-2022-jp"],
    ),
    (
        "# 支付失败后重试的逻辑\ndef retry_cn(x):\n    return x + 1  # 返回下一次重试的时间\n",
        &["gbk", "gb18030"],
    ),
    (
        "/* 這個模組負責管理連線。若連線失敗，將會重新嘗試，並在一段時間之後拋出例外。 */\nint main(void) { return 0; }\n",
        &["big5"],
    ),
    (
        "// 이 모듈은 연결을 관리합니다. 연결에 실패하면 다시 시도하고 일정 시간이 지나면 예외를 발생시킵니다.\nint main(void) { return 0; }\n",
        &["euc-kr"],
    ),
    (
        "# Würkner module for the café sensor\ndef kalibrieren(x):\n    return x * 2  # naïve\n",
        &["windows-1252"],
    ),
    (
        "/* Gibt die Größe des Puffers zurück; schlägt fehl, wenn er für die übergebenen Daten zu klein ist. Über Änderungen wird der Aufrufer benachrichtigt. */\nint groesse;\n",
        &["windows-1252"],
    ),
    (
        "// Cette méthode vérifie les paramètres reçus et renvoie une réponse détaillée à l'appelant après l'échec.\n",
        &["windows-1252"],
    ),
    (
        "# Этот модуль управляет соединениями. При ошибке соединение устанавливается заново, а затем выбрасывается исключение.\nx = 1\n",
        &["koi8-r", "windows-1251", "ibm866"],
    ),
    (
        "// Funkcja zwraca długość łańcucha znaków; jeśli wystąpi błąd, zgłaszany jest wyjątek. Należy sprawdzić wynik.\n",
        &["windows-1250", "iso-8859-2"],
    ),
    (
        "# Αυτή η συνάρτηση επιστρέφει το μήκος της συμβολοσειράς και ελέγχει τα δεδομένα που λαμβάνει.\n",
        &["windows-1253"],
    ),
    (
        "/* Bu işlev bağlantıyı yönetir; bağlantı başarısız olursa yeniden dener ve sonra bir hata fırlatır. Güncel değeri döndürür. */\n",
        &["windows-1254"],
    ),
    (
        "# פונקציה זו מנהלת את החיבורים. אם החיבור נכשל היא מנסה שוב ולאחר מכן זורקת שגיאה.\n",
        &["windows-1255"],
    ),
];

fn encoded(text: &str, label: &str) -> Vec<u8> {
    let encoding = Encoding::for_label(label.as_bytes()).expect("a known label");
    let (bytes, _, has_unmappable) = encoding.encode(text);
    assert!(!has_unmappable, "{label}: {text}");
    bytes.into_owned()
}

#[test]
fn texts_in_the_encodings_of_many_languages_come_out_right() {
    let mut wrong = Vec::new();
    for (text, labels) in TEXTS {
        for label in *labels {
            match decode_file(&encoded(text, label)) {
                Decoded::Text(found) if found.text == *text => assert_eq!(found.replaced, 0),
                other => wrong.push(format!("{label}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_declared_encoding_decides_for_a_single_word() {
    for (text, label) in [
        ("# coding: gbk\nx = '\u{4e2d}'\n", "gbk"),
        ("# -*- coding: koi8-r -*-\nx = '\u{434}\u{430}'\n", "koi8-r"),
        (
            "<?xml version='1.0' encoding='windows-1251'?><a>\u{434}\u{430}</a>",
            "windows-1251",
        ),
    ] {
        assert_eq!(decoded(&encoded(text, label)).text, text, "{label}");
    }
}

#[test]
fn utf16_without_a_mark_is_read_in_both_orders() {
    for text in [
        "some text\n",
        "# 日本語のコメント: 支払いの再試行処理\n",
        "Этот модуль управляет соединениями.\n",
        "支付失败后重试的逻辑，返回下一次重试的时间。\n下一行也是中文\n",
    ] {
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(
            (decoded(&little).text.as_str(), decoded(&little).encoding),
            (text, "UTF-16LE")
        );
        assert_eq!(
            (decoded(&big).text.as_str(), decoded(&big).encoding),
            (text, "UTF-16BE")
        );
    }
    for binary in [
        &b"\x01\0\x02\0\x03\0\x04\0"[..],
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        b"abc\0def",
        b"\0\0\0\0",
    ] {
        assert_eq!(decode_file(binary), Decoded::Binary, "{binary:?}");
    }
}

#[test]
fn a_few_bad_bytes_in_utf8_are_replaced_and_counted() {
    let text = "// Größe, Länge, Breite\n".repeat(3);
    let mut bytes = text.clone().into_bytes();
    bytes.extend(b"x = '\xff\xfe'\n");
    let found = decoded(&bytes);
    assert_eq!((found.encoding, found.replaced), ("UTF-8", 2));
    assert!(found.text.starts_with(&text) && found.text.ends_with("x = '\u{fffd}\u{fffd}'\n"));
    // With a mark the rest is UTF-8 whatever it holds.
    assert_eq!(decoded(b"\xef\xbb\xbfa\xffb").replaced, 1);
    // A character of the file's own is no damage.
    let own = decoded("a\u{fffd}b".as_bytes());
    assert_eq!((own.text.as_str(), own.replaced), ("a\u{fffd}b", 0));
}

#[test]
fn bytes_that_are_no_text_are_not_decoded() {
    let noise: Vec<u8> = (1..=255u8).cycle().take(2_000).collect();
    assert!(matches!(decode_file(&noise), Decoded::Undecodable(_)));
    assert_eq!(decode_file(b" \r\n\t"), Decoded::Blank);
    assert!(matches!(
        decode_file(b"\xff\xfea\0\x00\xd8"),
        Decoded::Undecodable(_)
    ));
}

proptest! {
    /// Any choice of lines in any of their encodings comes back as it was.
    #[test]
    fn lines_survive_their_encodings(choice in proptest::sample::select(TEXTS), label in any::<prop::sample::Index>(), copies in 1usize..5, code in "[a-z_ =().0-9]{0,60}") {
        let (text, labels) = choice;
        let text = format!("{code}\n{}", text.repeat(copies));
        let found = decode_file(&encoded(&text, labels[label.index(labels.len())]));
        prop_assert!(matches!(&found, Decoded::Text(found) if found.text == text), "{:?}", found);
    }

    /// No bytes whatever become U+FFFD without being counted.
    #[test]
    fn nothing_is_replaced_in_silence(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Decoded::Text(found) = decode_file(&bytes) {
            let marks = found.text.matches('\u{fffd}').count();
            let own = bytes.windows(3).filter(|window| *window == b"\xef\xbf\xbd").count()
                + bytes.windows(2).filter(|pair| matches!(pair, [0xfd, 0xff] | [0xff, 0xfd])).count();
            prop_assert!(marks <= own + found.replaced as usize + usize::from(found.encoding != "UTF-8"));
        }
    }
}
