import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** `npx vite` in this folder serves the sources against a server on port 8000. */
export default defineConfig({
  plugins: [react()],
  build: { target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0, reportCompressedSize: false },
  server: {
    proxy: { '/v1': 'http://127.0.0.1:8000', '/health': 'http://127.0.0.1:8000', '/ready': 'http://127.0.0.1:8000' },
  },
})
