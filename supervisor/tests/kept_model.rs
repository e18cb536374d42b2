//! The store against a simple model: whatever happens in whatever order, sessions, tags and what
//! nothing needs are as they would be on paper.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{accepted, completed};
use jiff::Timestamp;
use mcp_v8::app::{
    End, HeapEnd, HeapId, HeapRetention, Retention, SessionName, StorePlace, TagKey, Tags, Tenant,
    View,
};
use mcp_v8::limits;
use mcp_v8::store::{EntryRange, Keep, ListPosition, Store, TaggedHeap};
use proptest::prelude::*;

/// Names are few, so that they meet.
#[derive(Debug, Clone)]
enum Act {
    /// An execution completes and leaves a heap behind.
    Complete {
        tenant: u8,
        heap: u8,
        input: Option<u8>,
        session: Option<u8>,
        tags: Vec<(u8, u8)>,
    },
    /// An execution begins to need a heap.
    Begin {
        tenant: u8,
        input: u8,
    },
    /// The oldest one that runs fails.
    Fail,
    Tag {
        tenant: u8,
        heap: u8,
        tags: Vec<(u8, u8)>,
    },
    Untag {
        tenant: u8,
        heap: u8,
        keys: Option<Vec<u8>>,
    },
    Touch {
        tenant: u8,
        heap: u8,
    },
    /// Heaps that nothing needs are forgotten, but for so many of the last used.
    Sweep {
        left: u8,
    },
}

fn tags() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..3u8, 0..2u8), 0..4)
}

fn act() -> impl Strategy<Value = Act> {
    let (tenant, heap) = (0..2u8, 0..6u8);
    prop_oneof![
        5 => (tenant.clone(), heap.clone(), prop::option::of(heap.clone()),
              prop::option::of(0..3u8), tags())
            .prop_map(|(tenant, heap, input, session, tags)| Act::Complete {
                tenant, heap, input, session, tags,
            }),
        2 => (tenant.clone(), heap.clone())
            .prop_map(|(tenant, input)| Act::Begin { tenant, input }),
        1 => Just(Act::Fail),
        2 => (tenant.clone(), heap.clone(), tags())
            .prop_map(|(tenant, heap, tags)| Act::Tag { tenant, heap, tags }),
        2 => (tenant.clone(), heap.clone(),
              prop::option::of(prop::collection::vec(0..3u8, 0..3)))
            .prop_map(|(tenant, heap, keys)| Act::Untag { tenant, heap, keys }),
        1 => (tenant, heap).prop_map(|(tenant, heap)| Act::Touch { tenant, heap }),
        1 => (0..3u8).prop_map(|left| Act::Sweep { left }),
    ]
}

fn tenant(number: u8) -> Tenant {
    ["local", "other"][usize::from(number)].parse().unwrap()
}

fn heap(number: u8) -> HeapId {
    HeapId::of(&[number])
}

fn session(number: u8) -> SessionName {
    format!("s{number}").parse().unwrap()
}

fn key(number: u8) -> String {
    format!("k{number}")
}

fn tag_map(tags: &[(u8, u8)]) -> BTreeMap<String, String> {
    let pairs = tags.iter();
    pairs.map(|(k, v)| (key(*k), format!("v{v}"))).collect()
}

type TagMap = BTreeMap<String, String>;

#[derive(Debug, Clone)]
struct KnownHeap {
    tenant: u8,
    heap: u8,
    tags: TagMap,
    last_use: usize,
}

/// One entry: its input and its output.
type Entries = Vec<(Option<u8>, u8)>;

/// What there should be. Lists are in the order in which things came.
#[derive(Debug, Default)]
struct Model {
    heaps: Vec<KnownHeap>,
    sessions: Vec<((u8, u8), Entries)>,
    running: Vec<(u8, u8, View)>,
    clock: usize,
}

impl Model {
    /// Notes a use.
    fn known(&mut self, tenant: u8, heap: u8) -> Option<&mut KnownHeap> {
        self.clock += 1;
        let clock = self.clock;
        let mut all = self.heaps.iter_mut();
        let found = all.find(|known| (known.tenant, known.heap) == (tenant, heap))?;
        found.last_use = clock;
        Some(found)
    }

    fn complete(&mut self, of: u8, heap: u8, input: Option<u8>, name: Option<u8>, tags: TagMap) {
        if self.known(of, heap).is_none() {
            self.heaps.push(KnownHeap {
                tenant: of,
                heap,
                tags: TagMap::new(),
                last_use: self.clock,
            });
        }
        if !tags.is_empty() {
            self.known(of, heap).unwrap().tags = tags;
        }
        let Some(name) = name else { return };
        let place = self
            .sessions
            .iter()
            .position(|(known, _)| *known == (of, name));
        let place = place.unwrap_or_else(|| {
            self.sessions.push(((of, name), Entries::new()));
            self.sessions.len() - 1
        });
        self.sessions[place].1.push((input, heap));
    }

    /// What nothing needs, the oldest use first.
    fn unneeded(&self) -> Vec<(u8, u8)> {
        let mut found: Vec<&KnownHeap> = self
            .heaps
            .iter()
            .filter(|known| {
                let listed = self.sessions.iter().any(|((of, _), entries)| {
                    *of == known.tenant
                        && entries.iter().any(|(input, output)| {
                            *output == known.heap || *input == Some(known.heap)
                        })
                });
                let runs = self.running.iter();
                let mut runs = runs.map(|(of, input, _)| (*of, *input));
                known.tags.is_empty()
                    && !listed
                    && !runs.any(|needed| needed == (known.tenant, known.heap))
            })
            .collect();
        found.sort_by_key(|known| known.last_use);
        found
            .iter()
            .map(|known| (known.tenant, known.heap))
            .collect()
    }

    fn with_tags(&self, of: u8, tags: &TagMap) -> Vec<TaggedHeap> {
        let all = self.heaps.iter().rev().filter(|known| known.tenant == of);
        all.filter(|known| tags.iter().all(|(k, v)| known.tags.get(k) == Some(v)))
            .map(|known| TaggedHeap {
                heap: heap(known.heap),
                tags: known.tags.clone().try_into().unwrap(),
            })
            .collect()
    }
}

fn retention(left: u8) -> HeapRetention {
    HeapRetention {
        age_max: Duration::MAX,
        bytes_max: 10 * u64::from(left),
    }
}

async fn unneeded(store: &Store, left: u8) -> Vec<mcp_v8::store::UnneededHeap> {
    let later = Timestamp::now() + limits::HEAP_GRACE;
    let found = store.unneeded_heaps(retention(left), later, 100);
    found.await.unwrap()
}

async fn perform(store: &Store, model: &mut Model, act: Act) {
    match act {
        Act::Complete {
            tenant: of,
            heap: output,
            input,
            session: name,
            tags,
        } => {
            let tags = tag_map(&tags);
            let kept = Keep {
                tenant: tenant(of),
                heap: heap(output),
                stored_bytes: 10,
                input_heap: input.map(heap),
                session: name.map(session),
                code: format!("{input:?} to {output}"),
                tags: tags.clone().try_into().unwrap(),
            };
            let view = View {
                tenant: tenant(of),
                ..accepted()
            };
            let view = completed(view, HeapEnd::Kept(kept.heap));
            store.end(view, Some(kept)).await.unwrap();
            model.complete(of, output, input, name, tags);
        }
        Act::Begin { tenant: of, input } => {
            let view = View {
                tenant: tenant(of),
                input_heap: Some(heap(input)),
                ..accepted()
            };
            store
                .reserve(&view.tenant)
                .await
                .unwrap()
                .accept(view.clone(), Arc::default());
            store.flush(&Tenant::local()).await.unwrap();
            model.known(of, input);
            model.running.push((of, input, view));
        }
        Act::Fail => {
            if !model.running.is_empty() {
                let (.., view) = model.running.remove(0);
                let end = End::TimedOut { after_secs: 1 };
                let view = View {
                    status: end.status(),
                    completed_at: Some(support::now()),
                    end: Some(end),
                    ..view
                };
                store.end(view, None).await.unwrap();
            }
        }
        Act::Tag {
            tenant: of,
            heap: which,
            tags,
        } => {
            let tags = tag_map(&tags);
            let set: Tags = tags.clone().try_into().unwrap();
            let found = store.set_tags(tenant(of), heap(which), set).await.unwrap();
            let known = model.known(of, which);
            assert_eq!(found, known.is_some());
            if let Some(known) = known {
                known.tags = tags;
            }
        }
        Act::Untag {
            tenant: of,
            heap: which,
            keys,
        } => {
            let named = keys.as_ref().map(|keys| {
                let keys = keys.iter();
                keys.map(|k| key(*k).parse::<TagKey>().unwrap()).collect()
            });
            let found = store.delete_tags(tenant(of), heap(which), named).await;
            let known = model.known(of, which);
            assert_eq!(found.unwrap(), known.is_some());
            if let Some(known) = known {
                match keys {
                    None => known.tags.clear(),
                    Some(keys) => keys.iter().for_each(|k| {
                        known.tags.remove(&key(*k));
                    }),
                }
            }
        }
        Act::Touch {
            tenant: of,
            heap: which,
        } => {
            let found = store.touch_heap(tenant(of), heap(which)).await.unwrap();
            assert_eq!(found, model.known(of, which).is_some());
        }
        Act::Sweep { left } => {
            for expired in unneeded(store, left).await {
                assert!(store.forget_heap(expired).await.unwrap());
            }
            let mut gone = model.unneeded();
            gone.truncate(gone.len().saturating_sub(usize::from(left)));
            let is_left = |known: &KnownHeap| !gone.contains(&(known.tenant, known.heap));
            model.heaps.retain(is_left);
        }
    }
}

async fn compare(store: &Store, model: &Model) {
    let found = unneeded(store, 0).await;
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.tenant.clone(), one.heap))
        .collect();
    let expected = model.unneeded().into_iter();
    let expected: Vec<_> = expected
        .map(|(of, which)| (tenant(of), heap(which)))
        .collect();
    assert_eq!(found, expected);
    for of in 0..2 {
        for which in 0..6 {
            let tags = store.heap_tags(tenant(of), heap(which)).await.unwrap();
            let mut known = model.heaps.iter();
            let known = known.find(|known| (known.tenant, known.heap) == (of, which));
            assert_eq!(
                tags.map(TagMap::from),
                known.map(|known| known.tags.clone())
            );
        }
        compare_sessions(store, model, of).await;
        for tags in [
            &[(0, 0)][..],
            &[(0, 1), (1, 0)],
            &[(0, 0), (1, 1), (2, 0)],
            &[(9, 9)],
        ] {
            let tags = tag_map(tags);
            for limit in [1, 2, 100] {
                assert_eq!(
                    query(store, of, &tags, limit).await,
                    model.with_tags(of, &tags)
                );
            }
        }
    }
}

/// All pages of a query.
async fn query(store: &Store, of: u8, tags: &TagMap, limit: u32) -> Vec<TaggedHeap> {
    let mut all = Vec::new();
    let mut after: Option<ListPosition> = None;
    loop {
        let tags = tags.clone().try_into().unwrap();
        let page = store.heaps_by_tags(tenant(of), tags, limit, after).await;
        let page = page.unwrap();
        all.extend(page.found);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn compare_sessions(store: &Store, model: &Model, of: u8) {
    let sessions: Vec<_> = model
        .sessions
        .iter()
        .filter(|((whose, _), _)| *whose == of)
        .collect();
    let listed = store.sessions(tenant(of), 100, None).await.unwrap().found;
    let names = sessions.iter().rev().map(|((_, name), _)| session(*name));
    assert_eq!(listed, names.collect::<Vec<_>>());
    for number in 0..3 {
        let entries = sessions.iter().find(|((_, name), _)| *name == number);
        let entries = entries.map(|(_, entries)| entries);
        let latest = store.latest_heap(tenant(of), session(number)).await;
        let newest = entries.and_then(|entries| entries.last());
        assert_eq!(latest.unwrap(), newest.map(|(_, output)| heap(*output)));
        let range = EntryRange {
            from_index: 0,
            limit: 1000,
            with_code: true,
        };
        let found = store.session_entries(tenant(of), session(number), range);
        let found = found.await.unwrap().map(|page| {
            let entries = page.entries.into_iter();
            let shown = entries.map(|e| (e.index, e.input_heap, e.output_heap, e.code.unwrap()));
            shown.collect::<Vec<_>>()
        });
        let expected = entries.map(|entries| {
            let entries = entries.iter().zip(0..);
            let shown = entries.map(|((input, output), index)| {
                let code = format!("{input:?} to {output}");
                (index, input.map(heap), heap(*output), code)
            });
            shown.collect::<Vec<_>>()
        });
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_the_model(acts in prop::collection::vec(act(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let place = StorePlace::Directory(directory.path().to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(place, Retention::default()).unwrap();
            let mut model = Model::default();
            for act in acts {
                perform(&store, &mut model, act).await;
            }
            compare(&store, &model).await;
            store.close().await.unwrap();
        });
    }
}
