//! How much each tenant has of something that there is a bounded amount of: pure.

use std::collections::HashMap;

use crate::tenant::Tenant;

/// Who shares what there is a bounded amount of.
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
        self.allows_more(own, free, 1)
    }

    /// The same of `more` at once, which is what they would be one after another.
    const fn allows_more(self, own: usize, free: usize, more: usize) -> bool {
        match self {
            Self::Alone => more <= free,
            Self::Tenants => {
                more <= free && (more == 0 || own.saturating_add(more - 1) <= free - more)
            }
        }
    }
}

/// Why somebody gets nothing of it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// All of it is taken.
    #[error("all of it is taken")]
    Full,
    /// The tenant has as much as it may: what is left is for others.
    #[error("the tenant has as much of it as it may")]
    Share,
}

/// Whose something is: a tenant's, or the server's own.
pub(super) type Whose = Option<Tenant>;

/// Who has how much.
#[derive(Debug)]
pub(super) struct Taken {
    sharing: Sharing,
    number: usize,
    by_all: usize,
    by: HashMap<Whose, usize>,
}

impl Taken {
    pub(super) fn new(number: usize, sharing: Sharing) -> Self {
        Self {
            sharing,
            number,
            by_all: 0,
            by: HashMap::new(),
        }
    }

    pub(super) fn share(&mut self, sharing: Sharing) {
        self.sharing = sharing;
    }

    pub(super) fn own(&self, whose: &Whose) -> usize {
        self.by.get(whose).copied().unwrap_or(0)
    }

    pub(super) fn look(&self, whose: &Whose, more: usize) -> Result<(), NoPlace> {
        let own = self.own(whose);
        let free = self.number - self.by_all;
        match self.sharing.allows_more(own, free, more) {
            true => Ok(()),
            false if more <= free && own > 0 => Err(NoPlace::Share),
            false => Err(NoPlace::Full),
        }
    }

    pub(super) fn take(&mut self, whose: &Whose, more: usize) -> Result<(), NoPlace> {
        self.look(whose, more)?;
        self.by_all += more;
        *self.by.entry(whose.clone()).or_default() += more;
        Ok(())
    }

    /// Takes back what `whose` had. Only those who have some are remembered.
    pub(super) fn give_back(&mut self, whose: &Whose, less: usize) {
        self.by_all -= less;
        let left = self.by.get_mut(whose).map(|own| {
            *own -= less;
            *own
        });
        if left == Some(0) {
            self.by.remove(whose);
        }
    }

    /// Makes what one had another's.
    pub(super) fn pass(&mut self, from: &Whose, to: &Whose, units: usize) {
        self.give_back(from, units);
        self.by_all += units;
        *self.by.entry(to.clone()).or_default() += units;
    }

    #[cfg(test)]
    pub(super) fn by_all(&self) -> usize {
        self.by_all
    }

    #[cfg(test)]
    pub(super) fn is_forgotten(&self) -> bool {
        self.by.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_at_once_are_allowed_where_they_are_one_after_another(
            own in 0..40_usize, free in 0..40_usize, more in 1..40_usize,
        ) {
            for sharing in [Sharing::Alone, Sharing::Tenants] {
                let one_by_one =
                    (0..more).all(|n| n <= free && sharing.allows(own + n, free - n));
                prop_assert_eq!(sharing.allows_more(own, free, more), one_by_one);
            }
        }
    }

    #[test]
    fn who_has_none_is_told_that_it_is_full_and_who_has_some_of_its_share() {
        let (one, other): (Whose, Whose) = (Some(Tenant::local()), None);
        let mut taken = Taken::new(4, Sharing::Tenants);
        assert_eq!(taken.take(&one, 3), Err(NoPlace::Full));
        taken.take(&one, 2).unwrap();
        assert_eq!(taken.take(&one, 1), Err(NoPlace::Share));
        taken.take(&other, 1).unwrap();
        assert_eq!(taken.take(&other, 1), Err(NoPlace::Share));
        taken.share(Sharing::Alone);
        taken.take(&other, 1).unwrap();
        assert_eq!(taken.take(&one, 1), Err(NoPlace::Full));
        taken.give_back(&one, 2);
        taken.give_back(&other, 2);
        assert!(taken.is_forgotten());
        assert_eq!(taken.by_all(), 0);
    }
}
