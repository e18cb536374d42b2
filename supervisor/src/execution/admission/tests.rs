use super::*;

fn enter(admission: &Admission) -> Result<Ticket, Refusal> {
    admission.enter(&Tenant::local(), Share::default())
}

/// How many run and wait.
fn taken(admission: &Admission) -> (usize, usize) {
    admission.desk.books().fair.of(&Tenant::local())
}

fn now(ticket: &mut Ticket) -> Option<Slot> {
    ticket.granted.try_recv().ok()
}

#[test]
fn slots_then_queue_then_refusal_in_order() {
    let admission = Admission::new(1, 2, Sharing::Alone);
    let mut first = enter(&admission).unwrap();
    let mut second = enter(&admission).unwrap();
    let mut third = enter(&admission).unwrap();
    assert_eq!(
        enter(&admission).unwrap_err(),
        Refusal::Full {
            slots: 1,
            queue_length: 2
        }
    );
    let slot = now(&mut first).expect("a slot was free");
    assert!(now(&mut second).is_none());
    drop(slot);
    assert!(now(&mut third).is_none());
    let slot = now(&mut second).expect("the first in the queue");
    drop(slot);
    assert!(now(&mut third).is_some());
}

#[test]
fn who_leaves_the_queue_leaves_no_trace() {
    let admission = Admission::new(1, 1, Sharing::Alone);
    let mut first = enter(&admission).unwrap();
    let slot = now(&mut first).unwrap();
    drop(enter(&admission).unwrap());
    let mut second = enter(&admission).expect("the place is free again");
    drop(slot);
    assert!(now(&mut second).is_some());
    assert_eq!(taken(&admission), (0, 0));
}

#[test]
fn a_slot_granted_to_nobody_goes_on() {
    let admission = Admission::new(1, 2, Sharing::Alone);
    let mut first = enter(&admission).unwrap();
    let second = enter(&admission).unwrap();
    let mut third = enter(&admission).unwrap();
    drop(now(&mut first).unwrap());
    // Granted to the second, which never took it.
    drop(second);
    assert!(now(&mut third).is_some());
    drop(third);
    assert_eq!(taken(&admission), (0, 0));
}

#[test]
fn closed_lets_nobody_in() {
    let admission = Admission::new(1, 1, Sharing::Alone);
    admission.close();
    assert_eq!(enter(&admission).unwrap_err(), Refusal::Closed);
}

#[test]
fn a_promised_slot_can_be_waited_for_beyond_the_queue_and_is_not_given_before_it_is_free() {
    let admission = Admission::new(1, 0, Sharing::Alone);
    let mut slot = now(&mut enter(&admission).unwrap()).unwrap();
    assert!(enter(&admission).is_err());
    slot.promise();
    slot.promise();
    let mut next = enter(&admission).expect("it will be free in a moment");
    assert!(enter(&admission).is_err());
    assert!(now(&mut next).is_none());
    drop(slot);
    let held = now(&mut next);
    assert!(held.is_some());
    assert!(enter(&admission).is_err());
    assert_eq!(taken(&admission), (1, 0));
}

#[test]
fn no_queue_is_possible() {
    let admission = Admission::new(1, 0, Sharing::Alone);
    let _held = enter(&admission).unwrap();
    assert!(enter(&admission).is_err());
}

#[test]
fn a_quiet_tenant_is_next_whatever_another_has_waiting() {
    let admission = Admission::new(1, 8, Sharing::Tenants);
    let tenant = |name: &str| name.parse::<Tenant>().unwrap();
    let of = |name| admission.enter(&tenant(name), Share::default());
    let mut flood: Vec<Ticket> = (0..5).map(|_| of("loud").unwrap()).collect();
    assert!(matches!(
        of("loud"),
        Err(Refusal::QueueShared { waiting: 4 })
    ));
    let mut quiet = of("quiet").expect("what is left is for others");
    drop(now(&mut flood[0]).expect("it runs"));
    assert!(now(&mut quiet).is_some());
    assert!(now(&mut flood[1]).is_some());
}

#[test]
fn who_waits_is_told_how_long_about() {
    let admission = Admission::new(1, 9, Sharing::Alone);
    let pace = admission.pace();
    pace.took(Duration::from_millis(10));
    let mut first = enter(&admission).unwrap();
    let slot = now(&mut first).unwrap();
    let second = enter(&admission).unwrap();
    let third = enter(&admission).unwrap();
    let fourth = enter(&admission).unwrap();
    let until = |ticket: &Ticket| pace.until_end_of(ticket.turn()).as_millis();
    assert_eq!((until(&second), until(&fourth)), (10, 30));
    // Who goes away makes room.
    drop(third);
    assert_eq!(until(&fourth), 20);
    drop(second);
    assert_eq!(until(&fourth), 10);
    drop(slot);
    assert!(until(&fourth) <= 10);
}
