export function Tools() { return <p class="empty">…</p>; }
