export function Console() { return <p class="empty">…</p>; }
