//! What the holder of a token may do with what its tenant has.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// One thing that a token may let its holder do (RFC 6749, section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Look: at executions and their output, at sessions, heaps and tags.
    Read,
    /// Change: run code, cancel executions, set and delete tags. Who runs something is told the answer.
    Run,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Read, Self::Run];

    /// Its name, in tokens and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some scopes. Those who do not say have all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Scopes {
    read: bool,
    run: bool,
}

impl Default for Scopes {
    fn default() -> Self {
        Self::of(|_| true)
    }
}

/// A name that is not one of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scopes are some of \"read\" and \"run\"")]
pub(super) struct UnknownScope;

impl TryFrom<Vec<String>> for Scopes {
    type Error = UnknownScope;

    fn try_from(names: Vec<String>) -> Result<Self, UnknownScope> {
        let is_known = |name: &String| Scope::ALL.iter().any(|scope| scope.name() == name);
        match names.iter().all(is_known) {
            true => Ok(Self::of(|scope| {
                names.iter().any(|name| name == scope.name())
            })),
            false => Err(UnknownScope),
        }
    }
}

impl Scopes {
    fn of(has: impl Fn(Scope) -> bool) -> Self {
        Self {
            read: has(Scope::Read),
            run: has(Scope::Run),
        }
    }

    /// Those that claims of a token name: words in a text (RFC 8693, section 4.2) or texts in a list. What
    /// others mean by other words is nothing here.
    pub(super) fn claimed(claims: [Option<&Value>; 2]) -> Self {
        let names = |value: &Value, scope: Scope| match value {
            Value::String(words) => words.split(' ').any(|word| word == scope.name()),
            Value::Array(list) => list.iter().any(|word| word == scope.name()),
            _ => false,
        };
        Self::of(|scope| {
            claims
                .into_iter()
                .flatten()
                .any(|claim| names(claim, scope))
        })
    }

    pub(super) fn allow(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Run => self.run,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(scopes: Scopes) -> Vec<&'static str> {
        let all = Scope::ALL.into_iter();
        let allowed = all.filter(|scope| scopes.allow(*scope));
        allowed.map(Scope::name).collect()
    }

    #[test]
    fn who_does_not_say_has_all_and_who_says_none_has_none() {
        assert_eq!(allowed(Scopes::default()), ["read", "run"]);
        let listed = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Scopes::try_from(names).map(allowed)
        };
        assert_eq!(listed(&[]), Ok(vec![]));
        assert_eq!(listed(&["run"]), Ok(vec!["run"]));
        assert_eq!(listed(&["run", "read", "run"]), Ok(vec!["read", "run"]));
        assert_eq!(listed(&["Read"]), Err(UnknownScope));
        assert_eq!(listed(&["read run"]), Err(UnknownScope));
    }

    #[test]
    fn a_claim_names_scopes_in_a_text_or_a_list_and_nothing_else_does() {
        let claimed =
            |scope: Value, scp: Value| allowed(Scopes::claimed([Some(&scope), Some(&scp)]));
        assert_eq!(claimed(json!("openid read"), json!(null)), ["read"]);
        assert_eq!(claimed(json!(null), json!(["run", "x"])), ["run"]);
        assert_eq!(claimed(json!("read"), json!("run")), ["read", "run"]);
        let nothing: [&str; 0] = [];
        for none in [
            json!(""),
            json!("READ"),
            json!("read,run"),
            json!("reader"),
            json!("read\trun"),
            json!(true),
            json!({"read": true}),
            json!([["read"]]),
            json!(["read run"]),
        ] {
            assert_eq!(claimed(none.clone(), json!(null)), nothing, "{none}");
        }
        assert_eq!(allowed(Scopes::claimed([None, None])), nothing);
    }
}
