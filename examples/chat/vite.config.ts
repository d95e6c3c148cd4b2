import { defineConfig } from 'vite'

export default defineConfig({
  root: 'web',
  base: './',
  // The server serves public/. `npm run dev` serves web/ itself, and hands the sync socket on to the server.
  build: {
    outDir: '../public',
    emptyOutDir: true,
    chunkSizeWarningLimit: 700,
    rollupOptions: { onwarn: (warning, warn) => warning.code === 'MODULE_LEVEL_DIRECTIVE' || warn(warning) },
  },
  server: { proxy: { '/v1': { target: 'http://127.0.0.1:8080', ws: true } } },
  // The client is linked from this repository, where it has a copy of its own for its tests.
  resolve: { dedupe: ['@tanstack/db'] },
})
