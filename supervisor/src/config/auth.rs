//! Who may call over HTTP.

use std::ffi::OsString;

use clap::Args;
use url::Url;

use super::fault::Fault;
use super::raw::{Given, Said};
use super::resolve::{Resolver, malformed, switch, text};
use super::setting::Setting;
use crate::auth::{
    ALGORITHMS_DEFAULT, AuthOptions, JwtOptions, JwtScopes, KeySource, MalformedAlgorithms,
    Metadata, algorithms, is_public_url, is_trusted_url,
};
use crate::limits;

const AUTH: &str = "Authentication";

/// The claim that names the tenant when nobody says.
pub(super) const JWT_TENANT_CLAIM_DEFAULT: &str = "sub";

/// The ways in which callers are known.
pub(super) const WAYS: [Setting; 3] = [Setting::AuthTokens, Setting::JwksUrl, Setting::JwksFile];

/// What means nothing to a server that does not listen.
pub(super) const NEEDS_PORT: [Setting; 10] = [
    Setting::AuthTokens,
    Setting::JwksUrl,
    Setting::JwksFile,
    Setting::JwtIssuer,
    Setting::JwtAudience,
    Setting::JwtAlgorithms,
    Setting::JwtTenantClaim,
    Setting::JwtScopes,
    Setting::AuthResource,
    Setting::AuthServer,
];

/// The flags about authentication.
#[derive(Debug, Args)]
pub(super) struct AuthFlags {
    /// Let in who has a token that is listed in this TOML file, each as its tenant.
    ///
    /// Its array "tokens" has tables with tenant and token_sha256 (hexadecimal), and if need be operator
    /// = true (who may read /metrics), scopes (some of "read" and "run") and a table limits; its array "tenants" has tables with tenant and
    /// limits. mcp-v8 token new makes a token. Nobody else may be able to read the file (chmod 600).
    #[arg(long, value_name = "FILE", help_heading = AUTH)]
    pub(super) auth_tokens: Option<OsString>,

    /// Let in who has a token (JWT) that is signed with a key that this URL gives (JWKS).
    ///
    /// https, or http on this machine. The keys are got again every ten minutes, and when a token names
    /// an unknown one; while the URL gives none, those that are known stay for a day. Needs
    /// --jwt-issuer and --jwt-audience.
    #[arg(long, value_name = "URL", help_heading = AUTH)]
    pub(super) jwks_url: Option<OsString>,

    /// The same with the keys in a file. Excludes --jwks-url.
    #[arg(long, value_name = "FILE", help_heading = AUTH)]
    pub(super) jwks_file: Option<OsString>,

    /// Who issues these tokens: their claim iss, exactly.
    #[arg(long, value_name = "TEXT", help_heading = AUTH)]
    pub(super) jwt_issuer: Option<OsString>,

    /// For whom they have to be: their claim aud, or one of it.
    #[arg(long, value_name = "TEXT", help_heading = AUTH)]
    pub(super) jwt_audience: Option<OsString>,

    /// How they may be signed, separated by commas: RS256, RS384, RS512, PS256, PS384, PS512, ES256,
    /// ES384, EdDSA.
    #[arg(long, value_name = "NAMES", help_heading = AUTH)]
    pub(super) jwt_algorithms: Option<OsString>,

    /// The claim that names the tenant.
    #[arg(long, value_name = "NAME", help_heading = AUTH)]
    pub(super) jwt_tenant_claim: Option<OsString>,

    /// Have these tokens say what they are for: "read", "run" or both, in their claim scope or scp.
    ///
    /// "read" is to look at executions, output, sessions, heaps and tags; "run" is to run code, to cancel,
    /// and to change tags. A token that names neither is for nothing. Without this each is for all.
    #[arg(long, value_name = "BOOL", help_heading = AUTH, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(super) jwt_scopes: Option<OsString>,

    /// The address under which clients reach MCP, to tell them where to get tokens (RFC 9728).
    ///
    /// Such as `https://mcp.example.com/mcp`. Needs --auth-server.
    #[arg(long, value_name = "URL", help_heading = AUTH)]
    pub(super) auth_resource: Option<OsString>,

    /// An authorization server that gives tokens for it; can be given again. Needs --auth-resource.
    ///
    /// In the environment, several are separated by commas.
    #[arg(long, value_name = "URL", help_heading = AUTH)]
    pub(super) auth_server: Vec<OsString>,
}

impl Resolver<'_> {
    /// How callers are known; `None` where they are not.
    pub(super) fn auth(&mut self) -> Option<AuthOptions> {
        // Everything is read, so that everything that is wrong is reported.
        let tokens = self.path(Setting::AuthTokens);
        let jwt = self.jwt();
        let metadata = self.metadata();
        if WAYS.iter().all(|way| self.origin(*way).is_none()) {
            self.need(
                Setting::AuthResource,
                Setting::JwksUrl,
                "nobody is asked for a token",
            );
            return None;
        }
        Some(AuthOptions {
            tokens,
            jwt,
            metadata,
        })
    }

    fn jwt(&mut self) -> Option<JwtOptions> {
        let from = self.value(Setting::JwksUrl, None, |said| keys(said).map(Some));
        let file = self.path(Setting::JwksFile);
        let issuer = self.value(Setting::JwtIssuer, None, |said| word(said).map(Some));
        let audience = self.value(Setting::JwtAudience, None, |said| word(said).map(Some));
        let algorithms = self.value(
            Setting::JwtAlgorithms,
            ALGORITHMS_DEFAULT.to_vec(),
            |said| {
                let expected = MalformedAlgorithms.to_string();
                algorithms(text(said, &expected)?).map_err(|_| malformed(said, &expected))
            },
        );
        let tenant_claim = self.value(
            Setting::JwtTenantClaim,
            JWT_TENANT_CLAIM_DEFAULT.to_owned(),
            word,
        );
        let scopes = match self.value(Setting::JwtScopes, false, switch) {
            true => JwtScopes::Claimed,
            false => JwtScopes::All,
        };
        self.conflict(
            Setting::JwksUrl,
            Setting::JwksFile,
            "keys come from one place; give one of them",
        );
        let source = [Setting::JwksUrl, Setting::JwksFile]
            .into_iter()
            .find(|source| self.origin(*source).is_some());
        let Some(source) = source else {
            for setting in [
                Setting::JwtIssuer,
                Setting::JwtAudience,
                Setting::JwtAlgorithms,
                Setting::JwtTenantClaim,
                Setting::JwtScopes,
            ] {
                self.need(
                    setting,
                    Setting::JwksUrl,
                    "it is about signed tokens, which are checked with keys (or --jwks-file)",
                );
            }
            return None;
        };
        for needed in [Setting::JwtIssuer, Setting::JwtAudience] {
            self.need(
                source,
                needed,
                "a token that somebody else issued, or for somebody else, must not let anybody in",
            );
        }
        Some(JwtOptions {
            keys: match (from, file) {
                (Some(url), _) => KeySource::Url(url),
                (None, Some(file)) => KeySource::File(file),
                (None, None) => return None,
            },
            issuer: issuer?,
            audience: audience?,
            algorithms,
            tenant_claim,
            scopes,
        })
    }

    fn metadata(&mut self) -> Option<Metadata> {
        let resource = self.value(Setting::AuthResource, None, |said| public(said).map(Some));
        let servers = self.value(Setting::AuthServer, Vec::new(), servers);
        self.need(
            Setting::AuthResource,
            Setting::AuthServer,
            "clients are to be told where to get tokens",
        );
        self.need(
            Setting::AuthServer,
            Setting::AuthResource,
            "clients must be told what the tokens are for",
        );
        Some(Metadata {
            resource: resource?,
            servers,
        })
    }
}

/// A text that is compared as it is.
fn word(said: &Said) -> Result<String, Fault> {
    let expected = format!(
        "1 to {} bytes of text without control characters",
        limits::JWT_CLAIM_BYTES_MAX
    );
    let text = text(said, &expected)?;
    let fits = (1..=limits::JWT_CLAIM_BYTES_MAX).contains(&text.len());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(malformed(said, expected))
    }
}

fn keys(said: &Said) -> Result<Url, Fault> {
    url(
        said,
        is_trusted_url,
        "a URL of https, or of http on this machine, without a password",
    )
}

fn public(said: &Said) -> Result<Url, Fault> {
    url(said, is_public_url, PUBLIC)
}

const PUBLIC: &str = "a URL of https (or of http on this machine) without a query or a fragment";

fn url(said: &Said, is_good: fn(&Url) -> bool, expected: &str) -> Result<Url, Fault> {
    let url = parsed(text(said, expected)?, is_good);
    url.ok_or_else(|| hidden(said, expected))
}

fn parsed(text: &str, is_good: fn(&Url) -> bool) -> Option<Url> {
    Url::parse(text.trim()).ok().filter(is_good)
}

fn servers(said: &Said) -> Result<Vec<Url>, Fault> {
    let wrong = || hidden(said, PUBLIC);
    let texts: Option<Vec<&str>> = match &said.given {
        Given::Text(text) => text.to_str().map(|text| text.split(',').collect()),
        Given::Texts(texts) => texts.iter().map(|text| text.to_str()).collect(),
        Given::Toml(toml::Value::Array(values)) => values.iter().map(toml::Value::as_str).collect(),
        Given::Toml(value) => value.as_str().map(|text| vec![text]),
    };
    let urls = texts.ok_or_else(wrong)?.into_iter();
    let urls: Option<Vec<Url>> = urls.map(|text| parsed(text, is_public_url)).collect();
    urls.ok_or_else(wrong)
}

/// A value that may hold a password.
fn hidden(said: &Said, expected: &str) -> Fault {
    Fault::Malformed {
        origin: said.origin.clone(),
        given: "what is there".to_owned(),
        expected: expected.to_owned(),
    }
}
