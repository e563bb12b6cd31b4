# An image, and a Debian package. What makes the package lies in etc/debian, beside the other files for the system: dpkg wants a folder
# debian/ at the top, which is made for it in a copy of the release, so that a checkout does not look like one package for one system.
EXTRA_DIST += docker/Dockerfile docker/Dockerfile.dockerignore docker/compose.yaml docker/three-hosts.yaml docker/entry docker/healthy \
	etc/debian/changelog etc/debian/control etc/debian/copyright etc/debian/postinst etc/debian/postrm etc/debian/rules \
	etc/debian/source/format

image: dist
	rm -rf docker-build && mkdir docker-build && tar -C docker-build -xf $(distdir).tar.xz
	docker build -t holdfast -f docker-build/$(distdir)/docker/Dockerfile docker-build/$(distdir)
deb: dist
	rm -rf deb-build && mkdir deb-build && tar -C deb-build -xf $(distdir).tar.xz
	cp -R deb-build/$(distdir)/etc/debian deb-build/$(distdir)/debian
	cd deb-build/$(distdir) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -us -uc -b
	@ls deb-build/*.deb
.PHONY: image deb
