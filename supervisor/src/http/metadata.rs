//! Where clients get tokens (RFC 9728): said to whoever asks, because who has none must find out.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use url::Url;

use super::access::Access;
use super::error::as_json;
use crate::auth::{Metadata, Scope};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Where what is said of a resource stands: the well-known path goes before its own.
pub(super) fn place(resource: &Url) -> Url {
    let mut place = resource.clone();
    place.set_path(&path(resource));
    place
}

fn path(resource: &Url) -> String {
    match resource.path() {
        "/" => WELL_KNOWN.to_owned(),
        path => format!("{WELL_KNOWN}{}", path.trim_end_matches('/')),
    }
}

/// The routes, if there is anything to say.
pub(super) fn router(access: &Access) -> Router {
    let router = Router::new();
    let Access::Tokens(authenticator) = access else {
        return router;
    };
    let Some(metadata) = authenticator.metadata() else {
        return router;
    };
    let mut said = said(metadata);
    if authenticator.asks_for_scopes() {
        said["scopes_supported"] = json!(Scope::ALL.map(Scope::name));
    }
    let mut paths = vec![WELL_KNOWN.to_owned(), path(&metadata.resource)];
    paths.dedup();
    paths.into_iter().fold(router, |router, path| {
        // What a route would take for a pattern is no path that a proxy passes on here.
        if path.contains(['{', '}', '*', ':']) {
            return router;
        }
        let said = said.to_string();
        router.route(&path, get(async move || shown(said)))
    })
}

fn said(metadata: &Metadata) -> Value {
    let servers: Vec<&str> = metadata.servers.iter().map(bare).collect();
    json!({
        "resource": metadata.resource.as_str(),
        "authorization_servers": servers,
        "bearer_methods_supported": ["header"],
        "resource_name": "mcp-v8",
    })
}

/// A server's address as it names itself, which is compared letter by letter: without the slash that
/// stands for no path.
fn bare(url: &Url) -> &str {
    match url.path() {
        "/" => url.as_str().trim_end_matches('/'),
        _ => url.as_str(),
    }
}

fn shown(said: String) -> Response {
    let mut response = said.into_response();
    as_json(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_path_goes_before_that_of_the_resource() {
        for (resource, expected) in [
            (
                "https://a.example",
                "https://a.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://a.example/mcp",
                "https://a.example/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "https://a.example:8443/x/mcp/",
                "https://a.example:8443/.well-known/oauth-protected-resource/x/mcp",
            ),
        ] {
            assert_eq!(place(&resource.parse().unwrap()).as_str(), expected);
        }
        let said = said(&Metadata {
            resource: "https://a.example/mcp".parse().unwrap(),
            servers: vec![
                "https://id.example".parse().unwrap(),
                "https://id.example/realms/a".parse().unwrap(),
            ],
        });
        assert_eq!(said["resource"], "https://a.example/mcp");
        let servers = json!(["https://id.example", "https://id.example/realms/a"]);
        assert_eq!(said["authorization_servers"], servers);
    }
}
