/*
 * list - an intrusive, circular, doubly linked list.
 *
 * A struct that can be queued embeds a `struct list`; queueing does not allocate. A link that is on no list points at
 * itself, so removing it twice is harmless.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#define LIST_FOREACH(link, head) for (struct list *link = (head)->next; link != (head); link = link->next)

/* As LIST_FOREACH, but the body may remove `link`. */
#define LIST_FOREACH_SAFE(link, head)                                                                                  \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);                                  \
         link = link##_next, link##_next = link->next)

static inline void list_init(struct list *list)
{
    list->prev = list->next = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Moves all of `from` behind the end of `head`. */
static inline void list_move(struct list *head, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

/* Removes and returns the first link, or NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
    if (list_is_empty(head))
        return NULL;
    struct list *first = head->next;
    list_remove(first);
    return first;
}

#endif
