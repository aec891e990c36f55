//! What the documents say is so: their links lead somewhere, their configurations are read, their
//! commands are taken, and what they show is what is printed.

mod command_lines;
mod configurations;
mod init_configurations;
mod links;
mod output;
mod pages;
mod paths;
mod reference;
mod settings;
mod shell;
mod summary;
