//! What is said of the other databases that use a place of heaps.

use super::garbage::Neighbours;
use super::start::State;
use crate::heaps::HeapUser;

/// Where the database is, for whoever finds it among those that use a place.
pub(super) fn about(state: &State) -> String {
    let State::Stateful { sessions, .. } = state else {
        return String::new();
    };
    let path = std::path::absolute(sessions).unwrap_or_else(|_| sessions.clone());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} on {}", path.display(), host.trim_end())
}

fn remedy(other: &HeapUser) -> String {
    if other.is_of_cluster() {
        format!("remove users/{}.user there", other.id)
    } else {
        "run mcp-v8 gc --sole-database".to_owned()
    }
}

/// Says in the log why nothing goes, or that it goes again.
pub(super) fn tell(neighbours: &Neighbours) {
    match neighbours {
        Neighbours::Nobody => tracing::info!("no other database uses the heaps: they expire again"),
        Neighbours::Some(others) => {
            for other in others {
                tracing::warn!(
                    "heaps do not expire: another database uses the same place ({}); if it is gone \
                     for good, {}",
                    other.about,
                    remedy(other)
                );
            }
        }
        Neighbours::Unknown => tracing::warn!(
            "heaps do not expire: their place cannot say whether other databases use it; if none \
             does, run mcp-v8 gc --sole-database now and then"
        ),
    }
}
