//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../fuzz/checks/folder.rs"]
mod folder;
#[path = "../fuzz/checks/kept.rs"]
mod kept;
#[path = "../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../fuzz/checks/settings.rs"]
mod settings;

#[test]
fn every_kept_configuration_is_read_or_refused() {
    seeds::each("settings", settings::check);
}

#[test]
fn whatever_a_process_kept_is_read_or_refused() {
    seeds::each("kept", kept::check);
}

// TEMPORARY
#[path = "../fuzz/src/kept.rs"]
mod kept_seeds;
#[path = "../fuzz/src/run.rs"]
#[allow(dead_code)]
mod run;
#[test]
#[ignore]
fn temporary_write() {
    let home = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/kept");
    std::fs::create_dir_all(&home).unwrap();
    for (name, folder) in kept_seeds::all() {
        let mut all = Vec::new();
        for (name, content) in folder {
            all.extend(format!("== {name}\n").into_bytes());
            all.extend(&content);
            if !content.ends_with(b"\n") {
                all.push(b'\n');
            }
        }
        std::fs::write(home.join(name), all).unwrap();
    }
}
