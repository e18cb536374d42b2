//! Which headers a request gets on its way out, that its script never sees.
//!
//! A rule is for a host, or a domain with all beneath it, and may be for some methods, schemes or ports
//! only, and for the scripts of one tenant. Unless it names a scheme its headers go over https, and over http to this machine: elsewhere
//! whoever listens would have them. Of several rules that give the same
//! header the last one counts, those of `--fetch-header` after those of the file.

mod file;
mod host;
mod rule;
mod secret_file;
mod token;
mod value;
mod ways;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

pub use self::host::HostError;
pub use self::rule::{HeaderRule, RuleError};
pub use self::value::{Environment, ValueError};

use self::host::HostPattern;
use self::rule::{Gives, Methods};
use self::token::TokenSource;
use self::value::Value;
use self::ways::Ways;
use crate::limits::{HEADER_RULES_BYTES_MAX, HEADER_RULES_MAX};
use crate::tenant::Tenant;
use crate::upstream::{Upstream, UpstreamError};

/// Where the rules are.
#[derive(Debug, Clone, Default)]
pub struct InjectionOptions {
    /// Those of the command line.
    pub rules: Vec<HeaderRule>,
    /// The file with more.
    pub file: Option<PathBuf>,
}

/// One rule that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct RuleFault {
    /// Which one, in words.
    pub place: String,
    /// What is wrong.
    pub problem: RuleError,
}

/// Why the rules cannot be used. No value is in it.
#[derive(Debug, thiserror::Error)]
pub enum InjectionError {
    /// The file cannot be read.
    #[error("{path}, the file with rules for headers, cannot be read: {problem}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
    /// The file is no JSON.
    #[error(
        "{path}, the file with rules for headers, is not a JSON array (line {line}, column {column})",
        path = path.display()
    )]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// Some rules are wrong.
    #[error("rules for headers cannot be used: {}", listed(.0))]
    Rules(Vec<RuleFault>),
    /// There are more than are kept.
    #[error("there are more than {HEADER_RULES_MAX} rules for headers")]
    TooMany,
    /// Servers that give tokens cannot be asked.
    #[error("servers that give tokens cannot be asked: {0}")]
    Upstream(#[from] UpstreamError),
}

/// The rules of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Injection(Arc<[Rule]>);

/// A rule whose values can be had.
#[derive(Debug)]
struct Rule {
    /// Whose scripts it is for; none: everybody's.
    tenant: Option<Tenant>,
    host: HostPattern,
    methods: Methods,
    ways: Ways,
    headers: Vec<(HeaderName, Source)>,
}

#[derive(Debug)]
enum Source {
    Value(Value),
    Token(TokenSource),
}

/// A rule applies, and its value cannot be had. The text names rule and host, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header {header} for {host} cannot be had: {why}")]
pub struct NoValue {
    /// The header's name.
    pub header: String,
    /// The host of the request.
    pub host: String,
    /// Why, without a secret.
    pub why: String,
}

impl Injection {
    /// Reads the file, and looks every value up once: whatever is missing is an error now.
    ///
    /// # Errors
    /// [`InjectionError`] with every rule that is wrong.
    pub async fn open(
        options: InjectionOptions,
        environment: Environment<'_>,
    ) -> Result<Self, InjectionError> {
        let mut faults = Vec::new();
        let mut written = Vec::new();
        if let Some(path) = &options.file {
            written = from_file(path, &mut faults)?;
        }
        for (at, rule) in options.rules.into_iter().enumerate() {
            let place = format!("--fetch-header, rule {}", at + 1);
            written.push((place, rule));
        }
        if written.len() > HEADER_RULES_MAX {
            return Err(InjectionError::TooMany);
        }
        let urls = written.iter().filter_map(|(_, rule)| match &rule.gives {
            Gives::Token(token) => Some(&token.url),
            Gives::Headers(_) => None,
        });
        let upstream = Upstream::new(urls)?;
        let mut rules = Vec::new();
        for (place, rule) in written {
            if rule.ways.are_read() {
                tracing::warn!(
                    "{place}: its headers go over http, where whoever listens reads them"
                );
            }
            match Rule::open(rule, environment, &upstream).await {
                Ok(rule) => rules.push(rule),
                Err(problem) => faults.push(RuleFault { place, problem }),
            }
        }
        if faults.is_empty() {
            Ok(Self(rules.into()))
        } else {
            Err(InjectionError::Rules(faults))
        }
    }

    /// What the rules say for a request of a script of this tenant. Values are marked as sensitive. The script's own headers win,
    /// which the caller sees to.
    ///
    /// # Errors
    /// [`NoValue`] when a rule applies and its value cannot be had.
    pub async fn headers_for(
        &self,
        tenant: &Tenant,
        method: &Method,
        url: &Url,
    ) -> Result<HeaderMap, NoValue> {
        let mut headers = HeaderMap::new();
        // From the last to the first: what is there already wins, and the others are not looked up.
        let fitting = self.0.iter().rev();
        for rule in fitting.filter(|rule| rule.fits(tenant, method, url)) {
            for (name, source) in rule.headers.iter().rev() {
                if headers.contains_key(name) {
                    continue;
                }
                let value = source.get().await.map_err(|why| NoValue {
                    header: name.to_string(),
                    host: url.host_str().unwrap_or_default().to_owned(),
                    why,
                })?;
                headers.insert(name.clone(), value);
            }
        }
        Ok(headers)
    }

    /// The server answered that it does not believe these headers: a token that is among them is not
    /// given again, unless it is new.
    pub fn refused(&self, tenant: &Tenant, (method, url): (&Method, &Url), given: &HeaderMap) {
        let rules = self.0.iter();
        for rule in rules.filter(|rule| rule.fits(tenant, method, url)) {
            for (name, source) in &rule.headers {
                if let (Source::Token(source), Some(value)) = (source, given.get(name)) {
                    source.refused(value);
                }
            }
        }
    }
}

impl Rule {
    fn fits(&self, tenant: &Tenant, method: &Method, url: &Url) -> bool {
        let is_for = self.tenant.as_ref().is_none_or(|only| only == tenant);
        is_for && self.methods.fit(method) && self.host.fits(url) && self.ways.fit(url)
    }

    async fn open(
        rule: HeaderRule,
        environment: Environment<'_>,
        upstream: &Upstream,
    ) -> Result<Self, RuleError> {
        let headers = match rule.gives {
            Gives::Headers(templates) => {
                let mut headers = Vec::new();
                for (header, template) in templates {
                    match template.open(environment).await {
                        Ok(value) => headers.push((header, Source::Value(value))),
                        Err(problem) => return Err(RuleError::Value { header, problem }),
                    }
                }
                headers
            }
            Gives::Token(options) => {
                let source = TokenSource::open(options, environment, upstream.clone()).await?;
                vec![(AUTHORIZATION, Source::Token(source))]
            }
        };
        Ok(Self {
            tenant: rule.tenant,
            host: rule.host,
            methods: rule.methods,
            ways: rule.ways,
            headers,
        })
    }
}

impl Source {
    async fn get(&self) -> Result<HeaderValue, String> {
        match self {
            Self::Value(value) => {
                let secret = value.get().await.map_err(|why| why.to_string())?;
                let header = secret.header();
                header.ok_or_else(|| value::NotNow::Unfit.to_string())
            }
            Self::Token(source) => source.get().await.map_err(|why| why.to_string()),
        }
    }
}

/// The rules of a file, each with its place; those that are wrong go to `faults`.
fn from_file(
    path: &Path,
    faults: &mut Vec<RuleFault>,
) -> Result<Vec<(String, HeaderRule)>, InjectionError> {
    let text = text(path).map_err(|problem| InjectionError::Unreadable {
        path: path.to_owned(),
        problem,
    })?;
    // What the parser says beside the place may show what stands there.
    let syntax = |line, column| InjectionError::Syntax {
        path: path.to_owned(),
        line,
        column,
    };
    let parsed = serde_json::from_str::<serde_json::Value>(&text);
    let parsed = parsed.map_err(|error| syntax(error.line(), error.column()))?;
    let entries = parsed.as_array().ok_or_else(|| syntax(1, 1))?;
    let mut rules = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let place = format!("{}, rule {}", path.display(), at + 1);
        match file::rules(entry) {
            Ok(read) => rules.extend(read.into_iter().map(|rule| (place.clone(), rule))),
            Err(problem) => faults.push(RuleFault { place, problem }),
        }
    }
    Ok(rules)
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let most = HEADER_RULES_BYTES_MAX as u64 + 1;
    // The bytes that are no text are not shown.
    let read = file.take(most).read_to_string(&mut text);
    if read? > HEADER_RULES_BYTES_MAX {
        let problem = format!("it is larger than {HEADER_RULES_BYTES_MAX} bytes");
        return Err(io::Error::other(problem));
    }
    Ok(text)
}

fn listed(faults: &[RuleFault]) -> String {
    let lines = faults.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("; ")
}
