//! What a run cost: tables, JSON, profiles, memory.
