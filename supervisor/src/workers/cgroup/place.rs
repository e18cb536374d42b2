//! Where this process is among the control groups, and whether it may divide its own up. Reads texts
//! of the kernel and decides; touches nothing.

use std::io;
use std::path::{Path, PathBuf};

/// The group of the server itself, within the group that it was given.
pub(super) const SUPERVISOR: &str = "supervisor";
/// The group of all workers, beside it.
pub(super) const WORKERS: &str = "workers";

/// Controllers without which a group would be of no use.
const NEEDED: [&str; 2] = ["memory", "pids"];
/// What is taken where it is there.
const WELCOME: [&str; 1] = ["cpu"];

/// Why workers have no control groups of their own.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    /// The kernel, or whoever started this process, has no version 2.
    #[error("no cgroup v2 hierarchy is mounted")]
    NoHierarchy,
    /// The numbers of processes that are read here would be other processes to the kernel.
    #[error("/proc is that of another process namespace")]
    OtherProc,
    /// The mounts show other groups.
    #[error("no mount shows the control group of this server, {path}")]
    Hidden {
        /// Its path in the hierarchy.
        path: String,
    },
    /// Nobody gives the root away.
    #[error("this server is in the root of the hierarchy, which is nobody's to divide up")]
    Root,
    /// It is somebody else's.
    #[error(
        "{} is not delegated to this server (systemd: Delegate=yes; by hand: setfattr -n \
         user.delegate -v 1)", .directory.display()
    )]
    NotDelegated {
        /// The group.
        directory: PathBuf,
    },
    /// A group of threads cannot hold memory.
    #[error("{} is of type '{found}', not 'domain'", .directory.display())]
    Kind {
        /// The group.
        directory: PathBuf,
        /// Its type.
        found: String,
    },
    /// It lacks controllers.
    #[error("{} has no controller {missing}", .directory.display())]
    Controllers {
        /// The group.
        directory: PathBuf,
        /// The first that is missing.
        missing: &'static str,
    },
    /// The kernel divides up only what is empty, and these are not ours to move.
    #[error("{count} other processes are in {}", .directory.display())]
    Shared {
        /// The group.
        directory: PathBuf,
        /// How many.
        count: usize,
    },
    /// Another server has divided it up.
    #[error("another server serves in {}", .directory.display())]
    Occupied {
        /// The group.
        directory: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be divided up: {source}", .path.display())]
    System {
        /// What could not be read, made or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A group: its path in the hierarchy, and the directory that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) directory: PathBuf,
}

impl Place {
    /// The group of the process that the texts of `/proc/self/cgroup` and `/proc/self/mountinfo` are
    /// of.
    pub(super) fn find(cgroup: &str, mountinfo: &str) -> Result<Self, Reason> {
        let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
        let path = path.ok_or(Reason::NoHierarchy)?;
        let mut mounts = mountinfo.lines().filter_map(mount_of_v2).peekable();
        mounts.peek().ok_or(Reason::NoHierarchy)?;
        let shown = mounts.find_map(|(root, point)| {
            let below = Path::new(path).strip_prefix(root).ok()?;
            Some(point.join(below))
        });
        match shown {
            Some(directory) => Ok(Self {
                path: path.to_owned(),
                directory,
            }),
            None => Err(Reason::Hidden {
                path: path.to_owned(),
            }),
        }
    }

    /// The group around this one, where this one has the server's name: it was put there by whoever
    /// started it (systemd: `DelegateSubgroup=supervisor`), or by itself.
    pub(super) fn around(&self) -> Option<Self> {
        let path = Path::new(&self.path);
        if path.file_name()? != SUPERVISOR {
            return None;
        }
        Some(Self {
            path: path.parent()?.to_str()?.to_owned(),
            directory: self.directory.parent()?.to_owned(),
        })
    }

    /// Whether it is the root of what this process can see.
    pub(super) fn is_top(&self) -> bool {
        self.path == "/"
    }
}

/// Root and point of a mount, if it is one of cgroup v2.
fn mount_of_v2(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (mount, file_system) = line.split_once(" - ")?;
    if file_system.split(' ').next()? != "cgroup2" {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    Some((
        unescaped(fields.next()?).into(),
        unescaped(fields.next()?).into(),
    ))
}

/// Spaces and their like are written as a backslash and three octal digits.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&piece[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

/// What was found of a group that might be divided up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) place: Place,
    /// The directory of the group that this process is in: that one, or the server's within it.
    pub(super) own: PathBuf,
    /// The text of `cgroup.type`; the root of the hierarchy has none.
    pub(super) kind: Option<String>,
    /// Whether whoever manages the hierarchy has marked it as given away.
    pub(super) is_marked: bool,
    /// The text of `cgroup.controllers`.
    pub(super) controllers: String,
    /// Processes in it beside this one.
    pub(super) others: usize,
    /// Processes in its group for a server beside this one.
    pub(super) other_servers: usize,
}

impl Facts {
    /// The controllers to hand on, as they are written to `cgroup.subtree_control`.
    ///
    /// Permission to write says nothing: root may write everywhere, and a user in all of a session
    /// that is divided up by somebody else. So the mark is asked for; or that the group is the root of
    /// a namespace, as in a container, where nobody else is.
    pub(super) fn decide(&self) -> Result<String, Reason> {
        let directory = || self.place.directory.clone();
        let Some(kind) = &self.kind else {
            return Err(Reason::Root);
        };
        if !self.is_marked && !self.place.is_top() {
            return Err(Reason::NotDelegated {
                directory: directory(),
            });
        }
        if kind.trim() != "domain" {
            return Err(Reason::Kind {
                directory: directory(),
                found: kind.trim().to_owned(),
            });
        }
        let has = |wanted: &str| {
            self.controllers
                .split_whitespace()
                .any(|name| name == wanted)
        };
        if let Some(missing) = NEEDED.into_iter().find(|name| !has(name)) {
            return Err(Reason::Controllers {
                directory: directory(),
                missing,
            });
        }
        if self.other_servers > 0 {
            return Err(Reason::Occupied {
                directory: directory(),
            });
        }
        if self.others > 0 {
            return Err(Reason::Shared {
                directory: directory(),
                count: self.others,
            });
        }
        let taken = NEEDED
            .into_iter()
            .chain(WELCOME.into_iter().filter(|name| has(name)));
        let taken: Vec<String> = taken.map(|name| format!("+{name}")).collect();
        Ok(taken.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    fn find(cgroup: &str, mountinfo: &str) -> Result<PathBuf, String> {
        let found = Place::find(cgroup, mountinfo);
        found
            .map(|place| place.directory)
            .map_err(|why| why.to_string())
    }

    #[test]
    fn the_group_is_found_where_a_mount_shows_it() {
        let own = "4:memory:/elsewhere\n0::/system.slice/mcp.service\n";
        let unified = PathBuf::from("/sys/fs/cgroup/unified");
        assert_eq!(
            find(own, HYBRID),
            Ok(unified.join("system.slice/mcp.service"))
        );
        assert_eq!(find("0::/\n", HYBRID), Ok(unified));
        // A mount that shows a part only.
        let part = "50 1 0:38 /system.slice /mnt/my\\040groups ro - cgroup2 none rw\n";
        assert_eq!(
            find(own, part),
            Ok(PathBuf::from("/mnt/my groups/mcp.service"))
        );
        let both = "50 1 0:38 /user.slice /mnt ro - cgroup2 none rw\n".to_owned() + HYBRID;
        assert!(find(own, &both).is_ok());
    }

    #[test]
    fn without_version_2_there_is_none() {
        let none = Err("no cgroup v2 hierarchy is mounted".to_owned());
        assert_eq!(find("4:memory:/x\n", HYBRID), none);
        assert_eq!(find("", ""), none);
        assert_eq!(
            find("0::/x\n", "31 23 0:28 / /x rw - tmpfs tmpfs rw\n"),
            none
        );
        assert_eq!(
            find("0::/x\n", "nonsense\n - cgroup2\n1 2 - cgroup2 x"),
            none
        );
        let elsewhere = find("0::/a\n", "50 1 0:38 /b /mnt ro - cgroup2 none rw\n");
        assert!(elsewhere.unwrap_err().contains("no mount shows"));
        // A group outside of the namespace.
        assert!(find("0::/../x\n", "50 1 0:38 /b /mnt ro - cgroup2 none rw\n").is_err());
    }

    #[test]
    fn a_server_in_the_group_for_it_divides_up_the_one_around() {
        let place = |path: &str| Place {
            path: path.to_owned(),
            directory: Path::new("/sys/fs/cgroup").join(&path[1..]),
        };
        let around = place("/a.service/supervisor").around();
        assert_eq!(around, Some(place("/a.service")));
        assert!(
            place("/supervisor")
                .around()
                .is_some_and(|around| around.is_top())
        );
        assert_eq!(place("/a.service").around(), None);
        assert_eq!(place("/").around(), None);
    }

    fn facts() -> Facts {
        Facts {
            place: Place {
                path: "/a.service".to_owned(),
                directory: "/sys/fs/cgroup/a.service".into(),
            },
            own: "/sys/fs/cgroup/a.service".into(),
            kind: Some("domain\n".to_owned()),
            is_marked: true,
            controllers: "cpuset cpu io memory pids\n".to_owned(),
            others: 0,
            other_servers: 0,
        }
    }

    #[test]
    fn a_group_is_divided_up_when_it_is_ours_alone_and_of_use() {
        assert_eq!(facts().decide().unwrap(), "+memory +pids +cpu");
        let few = Facts {
            controllers: "memory pids".to_owned(),
            ..facts()
        };
        assert_eq!(few.decide().unwrap(), "+memory +pids");
        let top = Facts {
            is_marked: false,
            place: Place {
                path: "/".to_owned(),
                ..facts().place
            },
            ..facts()
        };
        assert!(top.decide().is_ok(), "the root of a container");
        let cases = [
            (Facts { kind: None, ..top }, "root of the hierarchy"),
            (
                Facts {
                    kind: None,
                    ..facts()
                },
                "root of the hierarchy",
            ),
            (
                Facts {
                    is_marked: false,
                    ..facts()
                },
                "is not delegated",
            ),
            (
                Facts {
                    kind: Some("threaded\n".to_owned()),
                    ..facts()
                },
                "of type 'threaded'",
            ),
            (
                Facts {
                    controllers: "hugetlb pids".to_owned(),
                    ..facts()
                },
                "no controller memory",
            ),
            (
                Facts {
                    controllers: "memory pidsx".to_owned(),
                    ..facts()
                },
                "no controller pids",
            ),
            (
                Facts {
                    others: 2,
                    ..facts()
                },
                "2 other processes",
            ),
            (
                Facts {
                    other_servers: 1,
                    ..facts()
                },
                "another server",
            ),
        ];
        for (facts, words) in cases {
            let why = facts.decide().unwrap_err().to_string();
            assert!(why.contains(words), "{words}: {why}");
        }
    }
}
