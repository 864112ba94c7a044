/**
 * The version of the rules and messages of a run. Peers of different versions do not hear each other: it is part of
 * topics and protocol names. A manifest names the one that its run keeps to.
 */
export const PROTOCOL = 2;
