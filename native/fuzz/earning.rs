#![no_main]

mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
