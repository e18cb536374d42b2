use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use futures_util::FutureExt as _;

use super::*;
use crate::auth::Scope;

fn hash(token: &str) -> TokenHash {
    TokenHash::of(token.as_bytes())
}

fn entry(tenant: &str, token: &str) -> String {
    format!(
        "[[tokens]]\ntenant = \"{tenant}\"\ntoken_sha256 = \"{}\"\n",
        hash(token)
    )
}

fn tenant(tokens: &Tokens, token: &str) -> Option<String> {
    let caller = tokens.find(token.as_bytes())?;
    Some(caller.tenant().name().to_owned())
}

#[test]
fn a_token_is_known_by_its_hash_alone() {
    // SHA-256 of "abc" (FIPS 180-2).
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash("abc").to_string(), known);
    let text = format!(
        "[[tokens]]\ntenant = \"a\"\ntoken_sha256 = \"{}\"\noperator = true\n\n{}\n\
         [tokens.limits]\nconcurrent = 2\n\n[[tenants]]\ntenant = \"c\"\n[tenants.limits]\nweight = 3\n",
        known.to_uppercase(),
        entry("b", "other")
    );
    let tokens = Tokens::parse(&text).unwrap();
    let caller = tokens.find(b"abc").unwrap();
    assert_eq!(caller.tenant().name(), "a");
    assert!(caller.is_operator());
    let caller = tokens.find(b"other").unwrap();
    assert_eq!(caller.tenant().name(), "b");
    assert!(!caller.is_operator());
    for unknown in ["", "ab", "abcd", known, "OTHER"] {
        assert!(tokens.find(unknown.as_bytes()).is_none(), "{unknown}");
    }
    let limits = |name: &str| tokens.limits().get(&name.parse().unwrap()).copied();
    assert_eq!(limits("a"), None);
    assert_eq!(limits("b").and_then(|limits| limits.concurrent), Some(2));
    assert_eq!(limits("c").and_then(|limits| limits.weight), Some(3));
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_without_its_hash() {
    let good = entry("a", "abc");
    let digits = hash("abc").to_string();
    for (text, line, problem) in [
        (format!("{good}\n{good}"), 5, "the token is listed already"),
        (
            format!("{good}\n{}", entry("b", "abc")),
            5,
            "the token is listed already",
        ),
        (format!("{good}operater = true\n"), 4, "operater"),
        (
            format!("{good}[tokens.limits]\nconcurrent = 0\n"),
            5,
            "allowed: 1 to",
        ),
        (
            format!("{good}[tokens.limits]\nconcurent = 1\n"),
            5,
            "concurent",
        ),
        (good.replace("\"a\"", "\"\""), 2, "1 to 128 bytes"),
        (good.replace("\"a\"", "\"a\\nb\""), 2, "control characters"),
        (good.replace("\"a\"", "1"), 2, "string"),
        (
            good.replace(&digits, &digits[1..]),
            3,
            "64 hexadecimal digits",
        ),
        (
            good.replace(&digits, &format!("x{}", &digits[1..])),
            3,
            "64 hexadecimal",
        ),
        (
            good.replace(&digits, &format!("+{}", &digits[1..])),
            3,
            "64 hexadecimal",
        ),
        ("[[tokens]]\ntenant = \"a\"\n".to_owned(), 1, "token_sha256"),
        ("[[tenants]]\ntenant = \"a\"\n".to_owned(), 1, "limits"),
        (
            "[[tenants]]\ntenant = \"a\"\nlimits = {}\n[[tenants]]\ntenant = \"a\"\nlimits = {}\n"
                .to_owned(),
            4,
            "limits already",
        ),
        (
            format!("{good}limits = {{}}\n[[tenants]]\ntenant = \"a\"\nlimits = {{}}\n"),
            1,
            "limits already",
        ),
        ("tokens = 1\n".to_owned(), 1, "a sequence"),
        (format!("{good}x y\n"), 4, ""),
    ] {
        let error = Tokens::parse(&text).unwrap_err().to_string();
        let expected = format!("is malformed: line {line}: ");
        assert!(error.starts_with(&expected), "{text}\n{error}");
        assert!(error.contains(problem), "{text}\n{error}");
        assert!(!error.contains(&digits[1..]), "{error}");
    }
    for nothing in ["", "# nothing\n", "tokens = []\n"] {
        let error = Tokens::parse(nothing).unwrap_err();
        assert!(matches!(error, Problem::Empty), "{error}");
    }
}

#[test]
fn a_file_that_others_can_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.toml");
    fs::write(&path, entry("a", "abc")).unwrap();
    for mode in [0o604, 0o620, 0o602, 0o644, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = Tokens::read(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("mode is {mode:03o}")), "{error}");
        assert!(error.contains("tokens.toml"), "{error}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(Tokens::read(&path).is_ok());
    }
    for (path, problem) in [
        (directory.path().to_owned(), "is no file"),
        (directory.path().join("none"), "cannot be read"),
    ] {
        let error = Tokens::read(&path).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let large = "#".repeat(limits::TOKEN_FILE_BYTES_MAX + 1);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, large).unwrap();
    let error = Tokens::read(&path).unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
}

#[test]
fn a_new_file_takes_away_what_it_does_not_list() {
    let old =
        Tokens::parse(&[entry("a", "kept"), entry("a", "gone"), entry("a", "moved")].concat());
    let old = old.unwrap();
    let callers = ["kept", "gone", "moved"].map(|token| old.find(token.as_bytes()).unwrap());
    let new = [entry("a", "kept"), entry("b", "moved"), entry("a", "new")].concat();
    let new = Tokens::parse(&new).unwrap().replace(&old);
    let is_over = callers.map(|caller| caller.expired().now_or_never().is_some());
    assert_eq!(is_over, [false, true, true]);
    let tenants = ["kept", "gone", "moved", "new"].map(|token| tenant(&new, token));
    let expected = [Some("a"), None, Some("b"), Some("a")].map(|name| name.map(str::to_owned));
    assert_eq!(tenants, expected);
}

#[test]
fn a_token_is_for_what_its_entry_says_and_a_change_of_that_ends_it() {
    let with = |scopes: &str| format!("{}{scopes}\n", entry("a", "abc"));
    let may = |text: &str| {
        let tokens = Tokens::parse(text).unwrap();
        let caller = tokens.find(b"abc").unwrap();
        Scope::ALL.map(|scope| caller.may(scope))
    };
    assert_eq!(may(&with("")), [true, true]);
    assert_eq!(may(&with("scopes = [\"read\"]")), [true, false]);
    assert_eq!(may(&with("scopes = [\"run\"]")), [false, true]);
    assert_eq!(may(&with("scopes = []")), [false, false]);
    for bad in [
        "scopes = [\"write\"]",
        "scopes = \"read\"",
        "scope = [\"read\"]",
    ] {
        let error = Tokens::parse(&with(bad)).unwrap_err().to_string();
        assert!(error.starts_with("is malformed: line "), "{error}");
    }
    let old = Tokens::parse(&with("")).unwrap();
    let caller = old.find(b"abc").unwrap();
    let same = Tokens::parse(&with("scopes = [\"run\", \"read\"]")).unwrap();
    let same = same.replace(&old);
    assert!(caller.expired().now_or_never().is_none());
    let less = Tokens::parse(&with("scopes = [\"read\"]")).unwrap();
    less.replace(&same);
    assert!(caller.expired().now_or_never().is_some());
}

#[test]
fn the_first_tenants_that_it_names_are_told_in_its_order() {
    let text = [
        "[[tenants]]\ntenant = \"z\"\nlimits = {}\n".to_owned(),
        entry("b", "1"),
        entry("a", "2"),
        entry("b", "3"),
        entry("z", "4"),
    ];
    let names = |tokens: &Tokens| {
        let names = tokens
            .tenants()
            .iter()
            .map(|tenant| tenant.name().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(&Tokens::parse(&text.concat()).unwrap()),
        ["z", "b", "a"]
    );
    let many: String = (0..2 * limits::METRICS_TENANTS_MAX)
        .map(|n| entry(&format!("t{n}"), &format!("token {n}")))
        .collect();
    let many = Tokens::parse(&many).unwrap();
    assert_eq!(many.tenants().len(), limits::METRICS_TENANTS_MAX);
}
