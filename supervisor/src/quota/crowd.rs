//! A bounded number of places that tenants share: requests that are answered, streams that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tenant::Tenant;

/// Who shares what there is a bounded number of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sharing {
    /// One tenant has the server to itself, and may have all.
    #[default]
    Alone,
    /// There are several: none may have all, so that others find something.
    Tenants,
}

impl Sharing {
    /// Whether somebody who has `own` may have one more, where `free` are left: of several, as much as
    /// is free. So one tenant has half at most, and each flood leaves half of what was free to others.
    pub const fn allows(self, own: usize, free: usize) -> bool {
        match self {
            Self::Alone => free > 0,
            Self::Tenants => own < free,
        }
    }
}

/// The places. Clones share them.
#[derive(Debug, Clone)]
pub struct Crowd {
    sharing: Sharing,
    number: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_all: usize,
    by: HashMap<Tenant, usize>,
}

/// A place that a tenant has, until this is dropped.
#[derive(Debug)]
pub struct Member {
    crowd: Crowd,
    tenant: Tenant,
}

impl Crowd {
    /// So many places.
    pub fn new(number: usize, sharing: Sharing) -> Self {
        Self {
            sharing,
            number,
            taken: Arc::default(),
        }
    }

    /// A place, if the tenant may have one more.
    pub fn enter(&self, tenant: &Tenant) -> Option<Member> {
        let mut taken = self.taken();
        let own = taken.by.get(tenant).copied().unwrap_or(0);
        let free = self.number.saturating_sub(taken.by_all);
        if !self.sharing.allows(own, free) {
            return None;
        }
        taken.by_all += 1;
        taken.by.insert(tenant.clone(), own + 1);
        Some(Member {
            crowd: self.clone(),
            tenant: tenant.clone(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut taken = self.crowd.taken();
        taken.by_all -= 1;
        let left = taken.by.get_mut(&self.tenant).map(|own| {
            *own -= 1;
            *own
        });
        // Only those who have some are remembered.
        if left == Some(0) {
            taken.by.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn tenant(number: usize) -> Tenant {
        format!("t{number}").parse().unwrap()
    }

    #[test]
    fn one_tenant_alone_may_have_all() {
        let crowd = Crowd::new(3, Sharing::Alone);
        let members: Vec<_> = (0..4).map(|_| crowd.enter(&tenant(0))).collect();
        assert_eq!(members.iter().flatten().count(), 3);
        drop(members);
        assert!(crowd.enter(&tenant(0)).is_some());
        assert!(crowd.taken().by.is_empty());
    }

    #[test]
    fn a_flood_of_one_leaves_places_to_others() {
        let crowd = Crowd::new(64, Sharing::Tenants);
        let mut all = Vec::new();
        for number in 0..7 {
            let before = all.len();
            while let Some(member) = crowd.enter(&tenant(number)) {
                all.push(member);
            }
            let left = 64 - before;
            assert_eq!(all.len() - before, left.div_ceil(2), "tenant {number}");
        }
        assert_eq!(all.len(), 64);
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_there_are_and_none_is_lost(
            number in 0..20_usize,
            steps in vec((any::<bool>(), 0..4_usize, any::<usize>()), 0..200),
        ) {
            let crowd = Crowd::new(number, Sharing::Tenants);
            let mut members: Vec<Member> = Vec::new();
            for (enters, of, which) in steps {
                if enters {
                    let own = members.iter().filter(|member| member.tenant == tenant(of)).count();
                    let member = crowd.enter(&tenant(of));
                    prop_assert_eq!(member.is_some(), own < number - members.len());
                    members.extend(member);
                } else if !members.is_empty() {
                    members.swap_remove(which % members.len());
                }
                prop_assert!(members.len() <= number);
                prop_assert_eq!(crowd.taken().by_all, members.len());
            }
            members.clear();
            prop_assert!(crowd.taken().by.is_empty());
        }
    }
}
