/**
 * hooks - what React needs to follow things that live outside of it: a scope, the address bar, the end of a list.
 */
import { useCallback, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { Scope } from 'skerry'

/** How the connection of a scope is. */
export function useStatus(scope: Scope) {
  return useSyncExternalStore(useCallback(changed => scope.onStatus(changed), [scope]), () => scope.status)
}

/** How many writes of this window the server has not answered yet. */
export function usePending(scope: Scope) {
  return useSyncExternalStore(useCallback(changed => scope.onPending(changed), [scope]), () => scope.pending)
}

/** Why the server does not take this window's writes at the moment; undefined if it does. */
export function useWaiting(scope: Scope) {
  return useSyncExternalStore(useCallback(changed => scope.onWaiting(changed), [scope]), () => scope.waiting)
}

/**
 * Keeps a scrolling element at its end while it or its content changes, unless the reader has scrolled up: then `away`
 * is true, and `toEnd` leads back. `content` is the element inside that grows.
 */
export function useStayAtEnd() {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const lastTop = useRef(0)
  const atEnd = useRef(true)
  const [away, setAway] = useState(false)

  const toEnd = useCallback(() => {
    atEnd.current = true
    scroller.current!.scrollTop = scroller.current!.scrollHeight
  }, [])

  // The event of a scroll of ours may come after more has grown: only a way up means that the reader left the end.
  const onScroll = useCallback(() => {
    const { scrollTop, clientHeight, scrollHeight } = scroller.current!
    if (scrollHeight - clientHeight - scrollTop < 48) atEnd.current = true
    else if (scrollTop < lastTop.current) atEnd.current = false
    lastTop.current = scrollTop
    setAway(!atEnd.current)
  }, [])

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => atEnd.current && toEnd())
    observer.observe(scroller.current!)
    observer.observe(content.current!)
    return () => observer.disconnect()
  }, [toEnd])

  return { scroller, content, onScroll, away, toEnd }
}
