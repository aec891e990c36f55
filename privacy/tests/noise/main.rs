//! What is released: its noise, and what may be drawn or summed instead.

mod float_sum_slack;
mod release;
mod rounded_gaussian;
mod share_sum;
