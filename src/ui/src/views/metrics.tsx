export function Metrics() { return <p class="empty">…</p>; }
