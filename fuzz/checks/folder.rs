//! The documents of a run's folder in one input: each after a line `== NAME`.

/// Names and contents, in their order.
pub type Folder = Vec<(String, Vec<u8>)>;

/// Takes an input apart. What stands before the first name is left out.
pub fn read(input: &[u8]) -> Folder {
    let mut folder = Folder::new();
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        match line
            .strip_prefix(b"== ")
            .and_then(|name| str::from_utf8(name).ok())
        {
            Some(name) => folder.push((name.trim_end().into(), Vec::new())),
            None => {
                if let Some((_, content)) = folder.last_mut() {
                    content.extend_from_slice(line);
                }
            }
        }
    }
    folder
}

/// A document's content, if it is there.
#[allow(dead_code, reason = "not every check asks for single ones")]
pub fn document<'a>(folder: &'a Folder, name: &str) -> Option<&'a [u8]> {
    let found = folder.iter().find(|(found, _)| found == name);
    found.map(|(_, content)| content.as_slice())
}
