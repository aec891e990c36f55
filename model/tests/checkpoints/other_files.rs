//! Files that hold something else than their name says, or have another name than they should.

use serde_json::json;
use umbel_model::{ModelFiles, Pooling, Precision};

use crate::Saved;

fn saved() -> Saved {
    Saved::new(Pooling::Pooler, Precision::F32)
}

fn assert_says(complaint: &str, parts: &[&str]) {
    for part in parts {
        assert!(complaint.contains(part), "no `{part}` in: {complaint}");
    }
}

#[test]
fn weights_that_are_something_else_are_called_what_they_are() {
    let saved = saved();
    let whole = saved.read("model.safetensors");
    for (content, expected) in [
        (&b""[..], "it is empty"),
        (b"PK\x03\x04archive/data.pkl", "call it pytorch_model.bin"),
        (b"\x80\x02}q\x00.", "call it pytorch_model.bin"),
        (b"\n<!DOCTYPE html>", "the page of a failed download"),
        (b"{}", "damaged or cut short: fetch it again"),
        (
            &whole[..whole.len() / 3],
            "damaged or cut short: fetch it again",
        ),
    ] {
        saved.write("model.safetensors", content);
        assert_says(&saved.complaint(), &["model.safetensors: ", expected]);
    }
    std::fs::remove_file(saved.folder().join("model.safetensors")).expect("removed");
    saved.write("pytorch_model.bin", &whole);
    let told = saved.complaint();
    assert_says(
        &told,
        &[
            "pytorch_model.bin: it is safetensors",
            "call it model.safetensors",
        ],
    );
    saved.write("pytorch_model.bin", b"\x80\x02}q\x00.");
    assert_says(
        &saved.complaint(),
        &["pytorch_model.bin: it holds no tensors"],
    );
}

#[test]
fn weights_under_another_name_or_of_another_program_are_told_with_what_to_do() {
    for (name, expected) in [
        (
            "bert.safetensors",
            "if bert.safetensors has the model's weights, call it model.safetensors",
        ),
        (
            "consolidated.00.pth",
            "if consolidated.00.pth has the model's weights, call it pytorch_model.bin",
        ),
        ("last.ckpt", "call it pytorch_model.bin"),
        (
            "adapter_model.safetensors",
            "a PEFT adapter without its adapter_config.json",
        ),
        ("rust_model.ot", "other formats aren't read"),
        ("model.tflite", "other formats aren't read"),
        ("openvino_model.xml", "other formats aren't read"),
        ("onnx/model.onnx", "other formats aren't read"),
    ] {
        let saved = saved();
        std::fs::remove_file(saved.folder().join("model.safetensors")).expect("removed");
        let path = saved.folder().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "x").expect("a file");
        assert_says(&saved.complaint(), &["there are no weights", expected]);
    }
    let saved = saved();
    std::fs::remove_file(saved.folder().join("config.json")).expect("removed");
    saved.write("model.gguf", b"GGUF");
    assert_says(
        &saved.complaint(),
        &["there is no config.json", "GGUF is for other programs"],
    );
}

#[test]
fn texts_may_begin_with_a_mark_and_are_no_utf_16() {
    for name in ["config.json", "tokenizer.json"] {
        let saved = saved();
        let content = saved.read(name);
        saved.write(name, &[b"\xef\xbb\xbf", content.as_slice()].concat());
        assert!(saved.open().is_ok(), "{name}");
        saved.write(name, b"\xff\xfe{\0}\0");
        assert_says(
            &saved.complaint(),
            &[name, "it is text in UTF-16; save it as UTF-8"],
        );
    }
}

#[test]
fn a_tokeniser_that_can_not_be_made_blames_the_file_that_is_there() {
    let saved = saved();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::remove_file(saved.folder().join(name)).expect("removed");
    }
    saved.write("model.tiktoken", b"x");
    assert_says(
        &saved.complaint(),
        &["model.tiktoken is tiktoken's own file, which isn't read"],
    );
    saved.write("vocab.json", b"{\"a\": 0}");
    saved.write("merges.txt", b"x y z\n");
    assert_says(
        &saved.complaint(),
        &["merges.txt: no tokeniser can be made from it"],
    );
}

#[test]
fn code_of_a_models_own_is_not_run_and_that_is_said() {
    let saved = saved();
    let notes = || {
        ModelFiles::read(&saved.folder())
            .expect("files")
            .origin
            .notes
    };
    assert_eq!(notes(), Vec::<String>::new());
    saved.set(
        "auto_map",
        json!({"AutoModel": "owner/name--modeling_x.XModel"}),
    );
    assert_says(
        &notes().join("; "),
        &[
            "auto_map: owner/name--modeling_x.XModel",
            "isn't run",
            "type bert",
        ],
    );
    saved.set(
        "auto_map",
        json!({"AutoModel": "modeling_umbel.UmbelForSequenceClassification"}),
    );
    assert_eq!(notes(), Vec::<String>::new());
}
