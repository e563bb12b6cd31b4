/* How far two words are apart, to name the nearest valid one when somebody mistypes. No state. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

/*
 * Insertions, deletions, changes and swaps of neighbours that make `a` into `b`. Words are looked
 * at up to 48 bytes.
 */
unsigned nearest_distance(const char *a, const char *b);

#endif
