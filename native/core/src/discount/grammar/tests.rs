//! Our reader of JSON beside serde_json's, on corners and on anything.

use super::*;
use proptest::prelude::*;

/// Both parsers give the same document, or both refuse; but only serde_json minds how large a number is.
fn agree(text: &str) {
    let (ours, theirs) = (parse(text), crate::json::parse(text.as_bytes()));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text}"),
        (Err(ours), Err(_)) => assert_eq!(ours.code, ErrorCode::JsonInvalid),
        (Ok(_), Err(theirs)) if theirs.message.starts_with("number out of range") => {}
        _ => panic!("{text:?}: {ours:?} but serde_json {theirs:?}"),
    }
}

#[test]
fn agrees_with_serde_json_on_every_corner() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true",
        "false",
        "tru",
        "{}",
        "[]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":}"#,
        r#"{a:1}"#,
        r#"{1:1}"#,
        r#"{"a":1,"a":2}"#,
        "[[]",
        "]",
        "[]]",
        " [ 1 , { \"a\" : [ ] } ]\r\n\t",
        "0",
        "-0",
        "-",
        "00",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e5",
        "1E+2",
        "1e-2",
        "1.e1",
        "0x1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "123456789012345678901234567890",
        "\"\"",
        "\"a",
        "\"\\\"\"",
        r#""\u0041\/\b\f\n\r\t\\""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ude00""#,
        r#""\ud83d\u0041""#,
        r#""\u12""#,
        r#""\u12G4""#,
        r#""\x""#,
        "\"\\é\"",
        "\"é\u{1F600}\"",
        "\"a\nb\"",
        "\"\u{7f}\"",
        "\"\\",
        "\u{feff}{}",
        "é",
        "+1",
        "'a'",
        "NaN",
        "[1]x",
        "\"\\u0000\"",
        "\"x\\n\"",
    ] {
        agree(text);
    }
    for depth in [126, 127, 128, 129, 100_000] {
        agree(&("[".repeat(depth) + &"]".repeat(depth)));
        agree(&"{\"a\":".repeat(depth));
    }
}

#[test]
fn a_number_of_any_size_is_grammatical() {
    for text in [
        "1e400",
        "-1e400",
        "1e+309",
        "72431192332375938792e37454044696846590759",
        &"9".repeat(400),
    ] {
        assert_eq!(parse(text).unwrap(), Node::OtherNumber, "{text}");
        agree(text);
    }
    assert_eq!(parse("1e400x").unwrap_err().code, ErrorCode::JsonInvalid);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_serde_json_on_anything(text in r#"([\[\]{},: \\"a1\-.0utrefalsn\u{1}é]|\\u[dD][89cC]00|"a":|[0-9]{1,22}){0,40}"#) {
        agree(&text);
    }
}
