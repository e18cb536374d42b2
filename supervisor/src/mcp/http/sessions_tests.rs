use rmcp::model::NumberOrString;

use super::*;
use crate::quota::Sharing;

fn sessions(number_max: usize) -> Sessions {
    let config = StreamableConfig::shared_by(Sharing::Tenants);
    let sessions = SessionLimits {
        number_max,
        ..config.sessions
    };
    Sessions::new(&StreamableConfig { sessions, ..config })
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

impl Sessions {
    /// What the library does once there is room.
    async fn opened(&self, of: &str) -> Result<(SessionId, Arc<Session>), HttpError> {
        let room = self.room(&tenant(of)).await?;
        let session = Arc::new(Session::new());
        let owner = Owner {
            tenant: tenant(of),
            peer: None,
        };
        session.belongs_to(Some(owner), room.take());
        let id: SessionId = uuid::Uuid::new_v4().to_string().into();
        self.table().open.insert(id.clone(), session.clone());
        Ok((id, session))
    }

    fn number(&self, of: &str) -> usize {
        let open = &self.table().open;
        let owners = open.values().filter_map(|session| session.owner());
        owners.filter(|owner| owner.tenant == tenant(of)).count()
    }
}

fn busy(session: &Arc<Session>) -> Handling {
    Handling::begin(session, &NumberOrString::Number(1)).unwrap()
}

#[tokio::test]
async fn a_flood_of_sessions_that_are_used_leaves_room_for_those_of_others() {
    let sessions = sessions(8);
    let mut used = Vec::new();
    let refused = loop {
        match sessions.opened("flood").await {
            Ok((_, session)) => used.push(busy(&session)),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, HttpError::OwnShare(Scarce::Sessions));
    assert_eq!(used.len(), 4);
    let (_, quiet) = sessions.opened("quiet").await.unwrap();
    assert_eq!((sessions.number("flood"), sessions.number("quiet")), (4, 1));
    // Once one of its own is not used any more, that makes room for another of its own.
    used.pop();
    sessions.opened("flood").await.unwrap();
    assert_eq!((sessions.number("flood"), sessions.number("quiet")), (4, 1));
    assert!(quiet.idle().is_some());
}

#[tokio::test]
async fn where_all_are_taken_nobody_displaces_those_who_have_fewer() {
    let sessions = sessions(4);
    let mut used = Vec::new();
    for of in ["a", "a"] {
        used.push(busy(&sessions.opened(of).await.unwrap().1));
    }
    let (idle, _) = sessions.opened("b").await.unwrap();
    used.push(busy(&sessions.opened("c").await.unwrap().1));
    // There is none left, and the only one that nothing uses is of somebody who has one.
    let refused = sessions.opened("a").await.unwrap_err();
    assert_eq!(refused, HttpError::TooManySessions);
    assert!(sessions.table().open.contains_key(&idle));
    // Who has none takes it: one each is fairer than one and none.
    sessions.opened("d").await.unwrap();
    assert!(!sessions.table().open.contains_key(&idle));
    assert_eq!((sessions.number("b"), sessions.number("d")), (0, 1));
    // What ends gives its place back.
    drop(used);
    let ended: Vec<SessionId> = sessions.table().open.keys().cloned().collect();
    for id in ended {
        sessions.close_session(&id).await.unwrap();
    }
    for of in ["a", "a", "b", "c"] {
        sessions.opened(of).await.unwrap();
    }
}

#[tokio::test]
async fn a_place_that_no_session_took_is_given_back_with_its_request() {
    let sessions = sessions(1);
    let room = sessions.room(&tenant("a")).await.unwrap();
    assert!(sessions.room(&tenant("b")).await.is_err());
    let of_the_request = room.clone();
    drop(room);
    assert!(sessions.room(&tenant("b")).await.is_err());
    drop(of_the_request);
    assert!(sessions.room(&tenant("b")).await.is_ok());
}
