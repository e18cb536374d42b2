//! The requests of scripts: which policies are asked, and which headers are added.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::OPA_CACHE_MS_MAX;
use super::fault::Fault;
use super::raw::{Given, Said};
use super::resolve::{Resolver, malformed, switch, text};
use super::setting::Setting;
use crate::fetch::injection::{HeaderRule, InjectionOptions};
use crate::fetch::options::FetchOptions;
use crate::policy::{
    OPA_FETCH_POLICY_DEFAULT, OpaOptions, OpaOptionsError, PolicyOptions, is_policy, is_server,
};

const FETCH: &str = "Requests of scripts";

/// What means nothing where scripts make no requests.
const NEEDS_POLICY: [Setting; 3] = [
    Setting::FetchAllowPrivate,
    Setting::FetchHeader,
    Setting::FetchHeaderConfig,
];

/// The flags about requests of scripts.
#[derive(Debug, Args)]
pub(super) struct FetchFlags {
    /// Let scripts make the requests that the policies in this directory allow.
    ///
    /// They are Rego, in files *.rego (without *_test.rego) of the package mcp.fetch with the rule
    /// allow; data.json beside them is data. They are read again when they change.
    #[arg(long, value_name = "DIR", help_heading = FETCH)]
    pub(super) policy_dir: Option<OsString>,

    /// Let scripts make the requests that an OPA at this URL allows.
    ///
    /// What it does not clearly allow is denied, also when it cannot be asked. With --policy-dir
    /// both must allow.
    #[arg(long, value_name = "URL", help_heading = FETCH)]
    pub(super) opa_url: Option<OsString>,

    /// The policy that OPA is asked for: the path of a package with the rule allow. Needs --opa-url.
    #[arg(long, value_name = "PATH", help_heading = FETCH)]
    pub(super) opa_fetch_policy: Option<OsString>,

    /// How long decisions of OPA are remembered, in milliseconds (0 to 60000). Needs --opa-url.
    #[arg(long, value_name = "MS", help_heading = FETCH)]
    pub(super) opa_cache_ms: Option<OsString>,

    /// Let requests go to private, loopback and other special addresses, whatever the policies say.
    ///
    /// Otherwise only those go there for which a policy has the rule allow_private. Needs a policy.
    #[arg(long, value_name = "BOOL", help_heading = FETCH, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(super) fetch_allow_private: Option<OsString>,

    /// A header for requests to a host, which scripts do not see. It can be given several times.
    ///
    /// host=HOST,header=NAME,value=VALUE, and if need be ,methods=GET;POST ,scheme=http;https ,port=8443 ,tenant=NAME (whose scripts it
    /// is for; everybody's without). HOST is a name, or *.NAME for all beneath it and itself. VALUE may hold ${NAME} for an environment variable and ${file:/path} for a file, which
    /// is read again when it changes; other users of the machine see what stands on a command line.
    /// It goes over https, and over http to this machine; scheme=http;https and port=443;8443 say otherwise.
    /// A script's own header wins. In the variable there is one rule a line. Needs a policy.
    #[arg(long, value_name = "RULE", help_heading = FETCH)]
    pub(super) fetch_header: Vec<OsString>,

    /// A JSON file with more of them, also with tokens by OAuth. Needs a policy.
    ///
    /// [{"host": "...", "methods": ["GET"], "headers": {"name": "value"}}]; there may be "scheme": ["http"],
    /// "port" with a list and "tenant": "...", and instead of headers "oauth": {"token_url", "client_id", "client_secret", "scope"}.
    #[arg(long, value_name = "FILE", help_heading = FETCH)]
    pub(super) fetch_header_config: Option<OsString>,
}

impl Resolver<'_> {
    pub(super) fn fetch(&mut self) -> Option<FetchOptions> {
        // Everything is read, so that everything that is wrong is reported.
        let directory = self.path(Setting::PolicyDir);
        let opa = self.opa();
        let allow_private = self.value(Setting::FetchAllowPrivate, false, switch);
        let injection = InjectionOptions {
            rules: self.header_rules(),
            file: self.path(Setting::FetchHeaderConfig),
        };
        let is_asked = [Setting::PolicyDir, Setting::OpaUrl].map(|policy| self.origin(policy));
        if is_asked.iter().all(Option::is_none) {
            for setting in NEEDS_POLICY {
                self.need(
                    setting,
                    Setting::PolicyDir,
                    "it is about requests of scripts, which there are with --policy-dir or --opa-url",
                );
            }
        }
        let policy = match (directory, opa) {
            (Some(directory), Some(opa)) => PolicyOptions::Both { directory, opa },
            (Some(directory), None) => PolicyOptions::Directory(directory),
            (None, Some(opa)) => PolicyOptions::Opa(opa),
            (None, None) => return None,
        };
        Some(FetchOptions {
            policy,
            injection,
            allow_private,
        })
    }

    fn opa(&mut self) -> Option<OpaOptions> {
        let url = self.value(Setting::OpaUrl, None, |said| server(said).map(Some));
        let default = OPA_FETCH_POLICY_DEFAULT.to_owned();
        let policy = self.value(Setting::OpaFetchPolicy, default, policy);
        let remembered_ms = self.number(Setting::OpaCacheMs, 0..=OPA_CACHE_MS_MAX, " ms", 0);
        for setting in [Setting::OpaFetchPolicy, Setting::OpaCacheMs] {
            self.need(setting, Setting::OpaUrl, "it is about asking a remote OPA");
        }
        let mut options = OpaOptions::new(url?, &policy).ok()?;
        options.remembered_for =
            Some(Duration::from_millis(remembered_ms)).filter(|time| !time.is_zero());
        Some(options)
    }

    /// Each rule that is wrong is a fault of its own.
    fn header_rules(&mut self) -> Vec<HeaderRule> {
        let Some(said) = self.raw.get(Setting::FetchHeader) else {
            return Vec::new();
        };
        let Some(texts) = rules(&said.given) else {
            self.faults.push(Fault::Malformed {
                origin: said.origin.clone(),
                given: "what is there".to_owned(),
                expected: "a text, or in the file an array of texts".to_owned(),
            });
            return Vec::new();
        };
        let mut rules = Vec::new();
        for (at, text) in texts.into_iter().enumerate() {
            match HeaderRule::parse(text) {
                Ok(rule) => rules.push(rule),
                Err(problem) => self.faults.push(Fault::HeaderRule {
                    origin: said.origin.clone(),
                    number: at + 1,
                    problem: problem.to_string(),
                }),
            }
        }
        rules
    }
}

/// The texts of the rules: flags, lines of the variable, or texts in the file.
fn rules(given: &Given) -> Option<Vec<&str>> {
    match given {
        Given::Text(lines) => {
            let lines = lines.to_str()?.lines();
            Some(lines.filter(|line| !line.trim().is_empty()).collect())
        }
        Given::Texts(texts) => texts.iter().map(|text| text.to_str()).collect(),
        Given::Toml(toml::Value::Array(values)) => values.iter().map(toml::Value::as_str).collect(),
        Given::Toml(value) => value.as_str().map(|text| vec![text]),
    }
}

fn server(said: &Said) -> Result<Url, Fault> {
    let expected = OpaOptionsError::Url.to_string();
    let url = Url::parse(text(said, &expected)?).map_err(|_| malformed(said, &expected))?;
    if is_server(&url) {
        return Ok(url);
    }
    // It may hold a password.
    Err(Fault::Malformed {
        origin: said.origin.clone(),
        given: "what is there".to_owned(),
        expected,
    })
}

fn policy(said: &Said) -> Result<String, Fault> {
    let expected = OpaOptionsError::Policy.to_string();
    let path = text(said, &expected)?;
    if is_policy(path) {
        Ok(path.to_owned())
    } else {
        Err(malformed(said, expected))
    }
}
