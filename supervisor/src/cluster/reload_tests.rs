//! Certificates that change while a node runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::hostile_tests::{Sender, over_tls, say};
use super::routes::PACKETS;
use super::sample_tests::packet;
use super::stand_tests::*;
use super::trust::Credentials;
use super::{Trust, batch};
use crate::http::TlsFiles;
use crate::limits::TLS_LOOK_INTERVAL;

/// Puts what this is to where a node looks for its own.
fn place(home: &Path, trust: &Trust) -> Trust {
    let Trust::Tls { own, authorities } = trust else {
        panic!("{trust:?}");
    };
    let at = |name: &str| home.join(name);
    fs::copy(authorities, at("ca.pem")).unwrap();
    fs::copy(&own.key, at("own.key")).unwrap();
    fs::copy(&own.certificate, at("own.pem")).unwrap();
    Trust::Tls {
        own: TlsFiles {
            certificate: at("own.pem"),
            key: at("own.key"),
        },
        authorities: at("ca.pem"),
    }
}

/// The certificate of one, and the authority of another.
fn mixed(own: &Trust, authority: &Authority) -> Trust {
    let Trust::Tls { own, .. } = own else {
        panic!("{own:?}");
    };
    Trust::Tls {
        own: own.clone(),
        authorities: authority.file(),
    }
}

#[tokio::test]
async fn a_new_authority_lets_its_nodes_in_and_those_of_the_old_one_no_more() {
    let (old, new) = (Authority::new(), Authority::new());
    let home = tempfile::tempdir().unwrap();
    let own = config("a", place(home.path(), &old.sign("a")));
    let other = peer(&config("b", Trust::Nobody));
    let stand = Stand::open(&own, members(&[peer(&own), other.clone()]));
    let (at, me) = (stand.endpoint.address(), stand.endpoint.me().clone());
    let says = async |stream: TlsStream<TcpStream>, number| {
        let body = batch::encode(&[between(&other, &me, packet(number))]).0;
        let request = Sender::new(&other, &me).request(&Method::POST, PACKETS, &body);
        say(stream, &request).await
    };
    let before = over_tls(at, &old.sign("b")).await.unwrap();
    assert_eq!(says(before, 1).await, 204);
    assert!(over_tls(at, &new.sign("b")).await.is_err());

    place(home.path(), &new.sign("a"));
    let of_new = new.sign("b");
    let changed = async {
        loop {
            match over_tls(at, &of_new).await {
                Ok(stream) => return says(stream, 2).await,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    assert_eq!(timeout(PATIENCE, changed).await.unwrap(), 204);
    assert_eq!(packets(stand.events()).len(), 2);
    assert!(over_tls(at, &old.sign("b")).await.is_err());
    // Who believes the new one, and shows what the old one has signed.
    if let Ok(stream) = over_tls(at, &mixed(&old.sign("b"), &new)).await {
        assert_eq!(says(stream, 3).await, 0);
    }
    assert!(stand.events().is_empty());
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_used_leave_those_in_use() {
    let authority = Authority::new();
    let home = tempfile::tempdir().unwrap();
    let trust = place(home.path(), &authority.sign("a"));
    let credentials = Credentials::open(&trust, &"a".parse().unwrap()).unwrap();
    let credentials = Arc::new(credentials);
    let renewing = Arc::clone(&credentials);
    let task = tokio::spawn(async move {
        if let Credentials::Tls(store) = &*renewing {
            store.renew().await;
        }
    });
    let Credentials::Tls(store) = &*credentials else {
        panic!("no certificates");
    };
    let looked = || sleep(2 * TLS_LOOK_INTERVAL);
    looked().await;
    let first = store.current();
    for (name, content) in [
        ("own.pem", "no certificate"),
        ("ca.pem", ""),
        ("own.key", "?"),
    ] {
        let path = home.path().join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        looked().await;
        assert!(Arc::ptr_eq(&store.current(), &first), "{name}");
        fs::write(&path, before).unwrap();
    }
    // One of another name is none of this node.
    place(home.path(), &authority.sign("b"));
    looked().await;
    assert!(Arc::ptr_eq(&store.current(), &first));
    place(home.path(), &authority.sign("a"));
    looked().await;
    assert!(!Arc::ptr_eq(&store.current(), &first));
    task.abort();
}
