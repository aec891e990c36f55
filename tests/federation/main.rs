//! Whole runs, in one process and over the network, as their users start them.

mod adaptive_clipping;
mod audit;
mod calibrated;
mod certificate;
mod checks;
mod combinations;
mod command_line;
mod compare;
mod divided_table;
mod endings;
mod equality;
mod families;
mod forged;
mod lineage;
mod long_updates;
mod network;
#[cfg(unix)]
mod operator;
mod pairs;
mod rehearsal;
mod scaffold;
mod strangers;
mod taken_up;
mod tasks;
mod trainable_sets;
mod unprotected;
mod virtual_clients;
mod virtual_time;
mod weak_noise;
mod workbench;
