// Package presets knows identity providers: how their issuers read, where their
// keys are, which claims hold audience and permissions, what of theirs can never
// work, and what to do in their consoles. What it knows is data, a YAML file a
// provider; it fetches nothing, verifies nothing and stores nothing.
package presets
