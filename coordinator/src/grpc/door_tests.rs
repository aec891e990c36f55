use super::*;

fn origin(last: u8) -> Origin {
    Origin::of(IpAddr::from([192, 0, 2, last]))
}

fn client(name: &str) -> Holder {
    Holder::Client(name.parse().unwrap())
}

fn door(open: usize, for_each_address: usize, in_handshake: usize) -> Arc<Door> {
    Door::new(ConnectionLimits {
        open,
        for_each_address,
        in_handshake,
        handshake: Duration::from_secs(10),
    })
}

fn is_displaced(handshake: &mut Handshake) -> bool {
    handshake.displaced.try_recv() == Err(oneshot::error::TryRecvError::Closed)
}

#[test]
fn a_full_hall_of_handshakes_lets_the_newest_in_and_the_floods_oldest_go() {
    let door = door(100, 100, 8);
    let mut site = door.knock(origin(1));
    let mut flood: Vec<Handshake> = (0..100).map(|_| door.knock(origin(7))).collect();
    assert!(!is_displaced(&mut site), "another address pays for its own");
    let held = flood.iter_mut().map(|h| !is_displaced(h));
    let held: Vec<usize> = held
        .enumerate()
        .filter(|(_, h)| *h)
        .map(|(i, _)| i)
        .collect();
    assert_eq!(held, [93, 94, 95, 96, 97, 98, 99]);
}

#[test]
fn a_site_behind_the_floods_own_address_has_as_long_as_the_flood_needs_to_fill_the_hall() {
    let door = door(100, 100, 8);
    let _flood: Vec<Handshake> = (0..100).map(|_| door.knock(origin(7))).collect();
    let mut site = door.knock(origin(7));
    let _more: Vec<Handshake> = (0..7).map(|_| door.knock(origin(7))).collect();
    assert!(!is_displaced(&mut site));
    let _last = door.knock(origin(7));
    assert!(is_displaced(&mut site));
}

#[test]
fn a_handshake_that_is_over_takes_no_place() {
    let door = door(100, 100, 2);
    let mut first = door.knock(origin(1));
    for _ in 0..10 {
        drop(door.knock(origin(1)));
    }
    assert!(!is_displaced(&mut first));
}

#[test]
fn connections_are_limited_in_all_and_for_each_address() {
    let door = door(3, 2, 8);
    let first = door.enter(origin(1), client("a")).unwrap();
    let _second = door.enter(origin(1), client("b")).unwrap();
    let refused = door.enter(origin(1), client("c")).unwrap_err();
    assert_eq!(refused, Refused::Address(2));
    let _third = door.enter(origin(2), client("c")).unwrap();
    let refused = door.enter(origin(3), client("d")).unwrap_err();
    assert_eq!(refused, Refused::Full(3));
    drop(first);
    door.enter(origin(1), client("d")).unwrap();
}

#[test]
fn no_client_can_take_the_connections_of_the_others() {
    let limits = ConnectionLimits::for_clients(2);
    let door = Door::new(limits);
    let one = origin(1);
    let mut held = Vec::new();
    while let Ok(entered) = door.enter(one, client("greedy")) {
        held.push(entered);
    }
    assert_eq!(held.len(), FOR_EACH_CLIENT);
    let stranger = |n: u8| Holder::Unknown(BlobDigest::of(&[n]));
    for n in 0..u8::MAX {
        held.extend(door.enter(one, stranger(n)));
    }
    assert_eq!(held.len(), FOR_EACH_CLIENT + FOR_UNKNOWN_CERTIFICATES);
    for _ in 0..FOR_EACH_CLIENT {
        held.push(door.enter(one, client("modest")).unwrap());
    }
    drop(held);
    assert_eq!(door.lock().open, 0);
    assert!(door.lock().by_client.is_empty() && door.lock().by_origin.is_empty());
}

#[test]
fn addresses_that_one_machine_can_take_at_will_are_one_origin() {
    let of = |text: &str| Origin::of(text.parse().unwrap());
    assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    assert_eq!(of("::ffff:192.0.2.1"), origin(1));
    assert_eq!(of("2001:db8::1").to_string(), "2001:db8::/64");
    assert_eq!(of("::1").to_string(), "::1");
}
